# SPDX-License-Identifier: Apache-2.0
"""A small GraphQL endpoint: enough of the language for the operations of a real client.

GET, POST and QUERY (RFC 10008); application/json, application/graphql, forms; batches as arrays; persisted queries by
their hash. Not here: schema introspection, directives, types of variables.
"""
import hashlib
import json
import re

from django.core.cache import cache
from django.http import HttpResponse, JsonResponse, QueryDict
from django.views.decorators.csrf import csrf_exempt

from proteins.models import OpticalConfig, Protein, Spectrum

from . import versions

LONGEST_BATCH = 32
_TOKEN = re.compile(r'''(?:[\s,\ufeff]|\#[^\n\r]*)*
    (?:(?P<name>[_A-Za-z]\w*)|(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(?P<block>"""(?:[^"\\]|\\.|"(?!""))*""")
       |(?P<string>"(?:[^"\\\n]|\\.)*")|(?P<punct>\.\.\.|[!$()\[\]{}:=@|&])|(?P<end>\Z))''', re.X | re.A)


class Refused(Exception):
    """An error that the response tells of."""


# --- documents ------------------------------------------------------------------------------------

class Document:
    """The operations and fragments of a document: {name: (kind, defaults of variables, fields)}."""

    def __init__(self, text):
        self.tokens, at = [], 0
        while True:
            found = _TOKEN.match(text, at)
            if not found:
                raise Refused(f"Syntax error at character {at}")
            at = found.end()
            self.tokens.append((found.lastgroup, found.group(found.lastgroup)))
            if found.lastgroup == "end":
                break
        self.at, self.operations, self.fragments = 0, {}, {}
        while self.tokens[self.at][0] != "end":
            self._definition()

    def _next(self, wanted=None):
        kind, text = self.tokens[self.at]
        if kind == "end" or wanted not in (None, kind, text):
            raise Refused(f"Syntax error: {text!r} where {wanted or 'more'} is expected")
        self.at += 1
        return text

    def _is(self, text):
        return self.tokens[self.at][1] == text and self.tokens[self.at][0] in ("punct", "name")

    def _skip(self, text):
        found = self._is(text)
        self.at += found
        return found

    def _definition(self):
        if self._is("{"):
            self._add(self.operations, "", ("query", {}, self._selection()))
            return
        kind = self._next("name")
        if kind == "fragment":
            name = self._next("name")
            self._next("on")
            self._next("name")
            self._add(self.fragments, name, self._selection())
        elif kind in ("query", "mutation", "subscription"):
            name = self._next() if self.tokens[self.at][0] == "name" else ""
            self._add(self.operations, name, (kind, self._variables(), self._selection()))
        else:
            raise Refused(f"Syntax error: {kind!r}")

    @staticmethod
    def _add(where, name, what):
        if name in where:
            raise Refused(f"There can be only one {name!r}")
        where[name] = what

    def _variables(self):
        defaults = {}
        if self._skip("("):
            while not self._skip(")"):
                self._next("$")
                name = self._next("name")
                self._next(":")
                self._type()
                defaults[name] = self._value() if self._skip("=") else None
        return defaults

    def _type(self):
        if self._skip("["):
            self._type()
            self._next("]")
        else:
            self._next("name")
        self._skip("!")

    def _selection(self):
        """[(alias, field, arguments, subfields)]; a fragment is (None, its name or its fields, None, None)."""
        out = []
        self._next("{")
        while not self._skip("}"):
            if self._skip("..."):
                if self._skip("on"):
                    self._next("name")
                inline = self._is("{")
                out.append((None, self._selection() if inline else self._next("name"), None, None))
                continue
            alias = field = self._next("name")
            if self._skip(":"):
                field = self._next("name")
            arguments = {}
            if self._skip("("):
                while not self._skip(")"):
                    name = self._next("name")
                    self._next(":")
                    arguments[name] = self._value()
            out.append((alias, field, arguments, self._selection() if self._is("{") else None))
        return out

    def _value(self):
        kind, text = self.tokens[self.at]
        self.at += 1
        if kind in ("number", "string"):
            return json.loads(text)
        if kind == "block":
            return text[3:-3].strip()
        if kind == "name":
            return {"true": True, "false": False, "null": None}.get(text, text)
        if text == "$":
            return Variable(self._next("name"))
        if text == "[":
            out = []
            while not self._skip("]"):
                out.append(self._value())
            return out
        raise Refused(f"Syntax error: {text!r} is no value")


class Variable(str):
    """Its name; the value comes with the request."""


# --- execution ------------------------------------------------------------------------------------

def _spectrum(row):
    state = row.owner_state
    return {"id": row.pk, "name": row.name, "category": row.category, "subtype": row.subtype, "peak": row.peak,
            "color": row.color, "data": lambda: row.points,
            "owner": {"name": state.protein.name, "slug": state.protein.slug} if state else None}


def _config(row):
    return {"id": row.pk, "name": row.name, "microscope": row.microscope, "comments": row.comments,
            "spectra": lambda: [_spectrum(s) for s in row.spectra.select_related("owner_state__protein")]}


def _spectra(request, category=None, subtype=None):
    wanted = {k: v for k, v in (("category", category), ("subtype", subtype)) if v is not None}
    rows = Spectrum.objects.select_related("owner_state__protein").filter(**wanted)
    return [_spectrum(row) for row in rows]


def _one(model, make):
    def resolve(request, id):
        row = model.objects.filter(pk=id).first()
        if row is None:
            raise Refused(f"No {model.__name__} has the id {id}")
        return make(row)
    return resolve


def _proteins(request):
    return [{"name": p.name, "slug": p.slug, "year": p.year} for p in Protein.objects.all()]


def _me(request):
    return {"username": request.user.get_username()} if request.user.is_authenticated else None


def _save_spectrum(request, id, name):
    row = Spectrum.objects.filter(pk=id).first()
    if row is None:
        raise Refused(f"No Spectrum has the id {id}")
    row.name = name
    row.save()
    return _spectrum(row)


FIELDS = {
    "query": {"spectra": _spectra, "spectrum": _one(Spectrum, _spectrum), "proteins": _proteins, "me": _me,
              "opticalConfigs": lambda request: [_config(c) for c in OpticalConfig.objects.all()],
              "opticalConfig": _one(OpticalConfig, _config)},
    "mutation": {"saveSpectrum": _save_spectrum},
}


def _fields(document, selection, depth=0):
    """The fields of a selection, fragments replaced."""
    if depth > 8:
        raise Refused("Fragments are nested too deeply")
    for alias, field, arguments, below in selection:
        if alias is not None:
            yield alias, field, arguments, below
            continue
        if isinstance(field, str) and field not in document.fragments:
            raise Refused(f"Unknown fragment {field!r}")
        yield from _fields(document, document.fragments[field] if isinstance(field, str) else field, depth + 1)


def _project(document, value, selection):
    """What was asked for of what there is."""
    value = value() if callable(value) else value
    if isinstance(value, list) and selection is not None:
        return [_project(document, v, selection) for v in value]
    if not isinstance(value, dict):
        return value
    out = {}
    for alias, field, _, below in _fields(document, selection or []):
        if field == "__typename":
            out[alias] = "Object"
        elif field not in value:
            raise Refused(f"Cannot query field {field!r}")
        else:
            out[alias] = _project(document, value[field], below)
    return out


def _execute(request, document, name, variables):
    if not name and len(document.operations) != 1:
        raise Refused("Must provide operation name if query contains multiple operations")
    if name and name not in document.operations:
        raise Refused(f"Unknown operation named {name!r}")
    kind, defaults, selection = document.operations[name] if name else next(iter(document.operations.values()))
    if kind == "mutation" and request.method != "POST":
        raise Refused("Mutations need POST")
    values = {**defaults, **variables}
    data = {}
    for alias, field, arguments, below in _fields(document, selection):
        if field == "__typename":
            data[alias] = kind.capitalize()
            continue
        resolve = FIELDS.get(kind, {}).get(field)
        if resolve is None:
            raise Refused(f"Cannot query field {field!r}")
        known = {k: values.get(v) if isinstance(v, Variable) else v for k, v in arguments.items()}
        try:
            data[alias] = _project(document, resolve(request, **known), below)
        except (TypeError, ValueError) as error:
            raise Refused(f"Field {field!r}: {error}") from error
    return data


def _document_text(operation):
    """The query, or the one that was sent with the same hash before."""
    text = operation.get("query")
    digest = ((operation.get("extensions") or {}).get("persistedQuery") or {}).get("sha256Hash")
    if digest is None:
        if not isinstance(text, str):
            raise Refused("Must provide query string")
        return text
    if text is None:
        text = cache.get(f"apq:{digest}")
        if text is None:
            raise Refused("PersistedQueryNotFound")
    elif hashlib.sha256(text.encode()).hexdigest() != digest:
        raise Refused("provided sha does not match query")
    else:
        cache.set(f"apq:{digest}", text, timeout=None)
    return text


def _answer(request, operation):
    try:
        if not isinstance(operation, dict):
            raise Refused("An operation is an object")
        document = Document(_document_text(operation))
        data = _execute(request, document, operation.get("operationName") or "", operation.get("variables") or {})
        return {"data": data}
    except Refused as error:
        return {"errors": [{"message": str(error)}]}


# --- HTTP -----------------------------------------------------------------------------------------

def _decoded(fields):
    """GraphQL parameters of a URL or a form: the structured ones are JSON."""
    out = {key: fields[key] for key in ("query", "operationName") if key in fields}
    for key in ("variables", "extensions"):
        if fields.get(key):
            out[key] = json.loads(fields[key])
    return out


def _operations(request):
    """One operation or a list of them."""
    if request.method == "GET":
        return _decoded(request.GET)
    kind = request.content_type
    if kind == "application/graphql":
        return {**_decoded(request.GET), "query": request.body.decode()}
    if kind == "application/x-www-form-urlencoded":
        return _decoded(QueryDict(request.body, encoding="utf-8"))
    if kind == "multipart/form-data" and request.method == "POST":
        return json.loads(request.POST["operations"])
    if kind == "application/json":
        return json.loads(request.body)
    raise LookupError(kind)


@csrf_exempt
def endpoint(request):
    if request.method not in ("GET", "HEAD", "POST", "QUERY"):
        return HttpResponse(status=405, headers={"Allow": "GET, HEAD, POST, QUERY"})
    try:
        asked = _decoded(request.GET) if request.method == "HEAD" else _operations(request)
    except LookupError:
        return HttpResponse(status=415)
    except (ValueError, RecursionError):
        return JsonResponse({"errors": [{"message": "The request cannot be read"}]}, status=400)
    versions.ensure(Protein, Spectrum, OpticalConfig)
    if not isinstance(asked, list):
        response = JsonResponse(_answer(request, asked))
    elif 0 < len(asked) <= LONGEST_BATCH:
        response = JsonResponse([_answer(request, each) for each in asked], safe=False)
    else:
        return JsonResponse({"errors": [{"message": "A batch has 1 to 32 operations"}]}, status=400)
    if request.session.accessed:
        response["Cache-Control"] = "private, no-cache"  # somebody asked who the user is
    return response
