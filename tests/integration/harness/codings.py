# SPDX-License-Identifier: Apache-2.0
"""Content codings: what httpd's encoders made, decoded; and what an origin that encodes by itself sends."""
import ctypes
import gzip
import zlib


def decode(answer):
    """The text of a response whose body may have one coding."""
    coding, body = answer.one("Content-Encoding"), answer.body
    if coding in ("gzip", "x-gzip"):
        body = gzip.decompress(body)
    elif coding == "br":
        body = _brotli(body)
    elif coding == "deflate":
        body = zlib.decompress(body)
    else:
        assert coding is None, f"a coding that nobody asked for: {coding}"
    return body.decode()


def gzipped(text):
    """The same bytes each time."""
    return gzip.compress(text.encode(), mtime=0)


def _brotli(data, most=1 << 24):
    """With the library that mod_brotli came with."""
    library = ctypes.CDLL("libbrotlidec.so.1")
    out, size = ctypes.create_string_buffer(most), ctypes.c_size_t(most)
    library.BrotliDecoderDecompress.argtypes = [ctypes.c_size_t, ctypes.c_char_p, ctypes.POINTER(ctypes.c_size_t),
                                                ctypes.c_char_p]
    assert library.BrotliDecoderDecompress(len(data), data, ctypes.byref(size), out) == 1, "no Brotli stream"
    return out.raw[:size.value]
