# SPDX-License-Identifier: Apache-2.0
"""A throw-away certificate authority made with openssl."""
import ssl
import subprocess

from . import places


_CA = """
[req]
distinguished_name = name
x509_extensions = ca
[name]
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
"""
_LEAF = """
basicConstraints = CA:FALSE
keyUsage = critical, digitalSignature
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = @NAMES@
"""
_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Authority:
    """Makes a CA, a certificate for the server `localhost`, and certificates for clients."""

    def __init__(self):
        self.root = places.new_folder("etv-c-")
        (self.root / "ca.cnf").write_text(_CA)
        self._run("req", "-x509", "-config", "ca.cnf", *_KEY, "-keyout", "ca.key",
                  "-out", "ca.crt", "-subj", "/CN=Test CA", "-days", "2")
        self.make("localhost")

    def _run(self, *arguments):
        run = subprocess.run([places.program("openssl"), *arguments], cwd=self.root,
                             stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr

    def make(self, name, names="DNS:localhost", days=2):
        """A certificate and its key; with `days` of 0 it has expired at once."""
        (self.root / "leaf.cnf").write_text(_LEAF.replace("@NAMES@", names))
        self._run("req", *_KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        self._run("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
                  "-CAcreateserial", "-extfile", "leaf.cnf", "-out", f"{name}.crt", "-days", str(days))

    def redis(self, name="localhost", clients="no"):
        """redis-server's options for TLS with the named certificate; `clients`: yes, no, optional."""
        return ["--tls-cert-file", f"{self.root}/{name}.crt", "--tls-key-file", f"{self.root}/{name}.key",
                "--tls-ca-cert-file", f"{self.root}/ca.crt", "--tls-auth-clients", clients]

    def conf(self):
        """mod_ssl's lines for a server that asks for a client certificate but does not insist."""
        return (f"SSLEngine On\nSSLCertificateFile {self.root}/localhost.crt\n"
                f"SSLCertificateKeyFile {self.root}/localhost.key\n"
                f"SSLCACertificateFile {self.root}/ca.crt\nSSLVerifyClient optional\n")

    def context(self, name=None):
        """A client's TLS context, with the named certificate or none."""
        context = ssl.create_default_context(cafile=str(self.root / "ca.crt"))
        context.verify_flags |= ssl.VERIFY_X509_STRICT  # the default of newer Pythons
        context.check_hostname = False
        if name:
            context.load_cert_chain(self.root / f"{name}.crt", self.root / f"{name}.key")
        return context

    def close(self):
        places.remove_folder(self.root)
