#!/usr/bin/env python3
"""Events from an Evoke service, in one file: Python 3.8 or newer and its standard library; with pyarrow where that is installed.

    import evoke
    events = evoke.read("demo:zmumu", 1, 10000, columns=["event", "GenPart_pt"])

`read` gives a pyarrow.Table where pyarrow is installed, otherwise a dict with a list per column (a jagged column is a list
of lists). Either way all events are there, or it raises: an answer that breaks off is gone on with at the first event that
is missing, and what arrives is counted and compared with the digest, where the service knows it.

The service is `server=`, else EVOKE_SERVER, else http://127.0.0.1:8080; the bearer token is `token=`, else BEARER_TOKEN.
On the command line: python3 evoke.py read demo:zmumu 1-1000 > events.ndjson
"""
import argparse
import base64
import hashlib
import http.client
import json
import operator
import os
import random
import re
import struct
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from email.utils import parsedate_to_datetime

try:
    import pyarrow
    import pyarrow.ipc
except ImportError:
    pyarrow = None

__all__ = ["read", "iter_batches", "datasets", "dataset", "declare", "plan", "Evoke", "EvokeError", "WrongAnswerError"]

PAUSE_SECONDS_MAX = 10
RETRY_AFTER_SECONDS_MAX = 600
PIECE_BYTES_MAX = 256 * 1024 * 1024
JSON_BYTES_MAX = 256 * 1024 * 1024
READ_BYTES = 256 * 1024
# Of a batch where there is no pyarrow.
LINES_PER_BATCH = 1000
RETRYABLE_STATUS = {408, 429, 500, 502, 503, 504}
# Codes that say no for good with a status that may otherwise pass.
FINAL_CODES = {"GENERATION_FAILED", "NOT_MATERIALIZED"}


class EvokeError(Exception):
    """The service refused. `code` is one of its catalogue, None where something else answered; `problem` its error document."""

    def __init__(self, status, problem, retry_after=None):
        text = problem.get("detail") or problem.get("title") or "The service answered with status %d." % status
        refused = ["%s: %s" % (e.get("path"), e.get("message")) for e in problem.get("errors") or [] if isinstance(e, dict)]
        hint, code = problem.get("hint"), problem.get("code")
        parts = [str(text)] + (["; ".join(refused) + "."] if refused else []) + ([str(hint)] if hint else [])
        super().__init__(" ".join(parts) + (" (%s)" % code if code else ""))
        self.status, self.problem, self.retry_after = status, problem, retry_after
        self.code = code if isinstance(code, str) else None

    @property
    def retryable(self):
        """Whether the same request may succeed later, with nothing changed."""
        return self.status in RETRYABLE_STATUS and self.code not in FINAL_CODES


class WrongAnswerError(Exception):
    """The service answered, but not with what was asked for."""


class BrokenOffError(OSError):
    """The answer ended before its end."""


class Evoke:
    """One service. `tries`: tries in a row that bring nothing before it gives up; `timeout`: seconds without a byte;
    `on_wait(error, seconds)` is told before every pause."""

    def __init__(self, server=None, token=None, timeout=300, tries=10, on_wait=None):
        self.server = (server or os.environ.get("EVOKE_SERVER") or "http://127.0.0.1:8080").rstrip("/")
        if not self.server.lower().startswith(("http://", "https://")):
            raise ValueError("%s is not an http address" % self.server)
        self._token = token or os.environ.get("BEARER_TOKEN")
        # Said here, and without it: what refuses a header later would quote it.
        if self._token and not re.fullmatch("[\x21-\x7e]+", self._token):
            raise ValueError("The token has characters that no header can carry.")
        self._timeout, self._tries, self._on_wait = timeout, tries, on_wait

    def read(self, dataset, start_event, last_event, columns=None):
        """All events as one pyarrow.Table; without pyarrow a dict with a list per column."""
        if pyarrow is not None:
            schema, batches = None, []
            for schema, batch in self._arrow_batches(dataset, start_event, last_event, columns):
                batches.append(batch)
            return pyarrow.Table.from_batches(batches, schema=schema)
        whole = {}
        for batch in self.iter_batches(dataset, start_event, last_event, columns):
            for name, values in batch.items():
                whole.setdefault(name, []).extend(values)
        return whole

    def iter_batches(self, dataset, start_event, last_event, columns=None):
        """The events in order, as they arrive: pyarrow.RecordBatch, without pyarrow dicts with a list per column."""
        if pyarrow is not None:
            for _, batch in self._arrow_batches(dataset, start_event, last_event, columns):
                yield batch
            return
        rows = []
        for lines, events in self.stream(dataset, start_event, last_event, columns, "ndjson"):
            rows.extend(_rows_of(lines))
            while len(rows) >= LINES_PER_BATCH:
                yield _columns_of(rows[:LINES_PER_BATCH])
                del rows[:LINES_PER_BATCH]
        if rows:
            yield _columns_of(rows)

    def stream(self, dataset, start_event, last_event, columns=None, format="arrow"):
        """The bytes of the events, as pairs (bytes, how many events they complete): Arrow IPC messages, or lines. End to end
        they are what a single answer without any interruption has."""
        start_event, last_event = operator.index(start_event), operator.index(last_event)
        range_text = _range_text(start_event, last_event)
        if isinstance(columns, str):
            raise TypeError("columns is a list of names")
        new_cutter, ending = {"arrow": (_Messages, END_MARKER), "ndjson": (_Lines, b"")}[format]
        query = {"format": format, **({} if columns is None else {"columns": ",".join(columns)})}
        path = "%s/events/%%s?%s" % (_path(dataset), urllib.parse.urlencode(query, safe=","))
        total, done, tag, digest, sha256 = last_event - start_event + 1, 0, None, None, hashlib.sha256()
        ended, begun, derivation, fruitless = False, False, None, 0
        while done < total:
            before = done
            try:
                if begun:
                    with self._open("HEAD", path % range_text) as response:
                        if tag is None or _strong_tag(response) != tag:
                            raise WrongAnswerError("The events have other bytes than before the interruption: start again.")
                        digest = digest or _sha256_of(response)
                asked = "%d-%d" % (start_event + done, last_event)
                with self._open("GET", path % asked) as response:
                    if not begun:
                        tag, digest = _strong_tag(response), _sha256_of(response)
                    cutter = new_cutter(begun, asked, derivation)
                    for data in _body(response):
                        for piece, events in cutter.push(data):
                            if done + events > total:
                                raise WrongAnswerError("The answer has more than the %d events asked for." % total)
                            sha256.update(piece)
                            begun, derivation = True, cutter.derivation
                            done += events
                            yield piece, events
                ended = cutter.ended
                if ended and done < total:
                    raise WrongAnswerError("The answer has %d events, not %d." % (done, total))
                if done < total:
                    raise BrokenOffError("The answer ended after %d of %d events." % (done, total))
            except (EvokeError, OSError, http.client.HTTPException) as error:
                ended = done == total and cutter.ended
                # All events are there, and how the format ends is known.
                if done < total:
                    fruitless = 1 if done > before else fruitless + 1
                    self._wait(error, fruitless)
        if not ended and ending:
            sha256.update(ending)
            yield ending, 0
        if digest is None and tag is not None:
            digest = self._remembered_digest(path % range_text, tag)
        if digest is not None and base64.b64encode(sha256.digest()).decode() != digest:
            raise WrongAnswerError("What arrived does not have the digest that the service gave for it.")

    def datasets(self):
        """The declared datasets."""
        items, after = [], ""
        while True:
            page = self._json("GET", "/v1/datasets" + after)
            items.extend(page["items"])
            if not page.get("next"):
                return items
            after = "?after=" + urllib.parse.quote(page["next"], safe="")

    def dataset(self, dataset):
        """A dataset's definition, its columns with their units, and how it stands."""
        return self._json("GET", _path(dataset))

    def declare(self, dataset, generator, seed, events, **more):
        """Declares a dataset; the same again changes nothing. `more`: version, parameters, chunkEvents, input, files."""
        return self._json("PUT", _path(dataset), {"generator": generator, "seed": seed, "events": events, **more})

    def plan(self, dataset, start_event, last_event):
        """What the events would take; nothing is made."""
        return self._json("GET", "%s/plan/%s" % (_path(dataset), _range_text(start_event, last_event)))

    def _arrow_batches(self, dataset, start_event, last_event, columns):
        """Pairs of schema and record batch."""
        head = schema = None
        for message, events in self.stream(dataset, start_event, last_event, columns, "arrow"):
            if head is None:
                head = message
            elif events > 0:
                try:
                    reader = pyarrow.ipc.open_stream(head + message + END_MARKER)
                    batch = reader.read_next_batch()
                    batch.validate(full=True)
                except Exception as error:
                    raise WrongAnswerError("A record batch is damaged: %s" % error) from error
                schema = schema or reader.schema
                if batch.num_rows != events:
                    raise WrongAnswerError("A record batch has %d events, not %d." % (batch.num_rows, events))
                yield schema, batch

    def _json(self, method, path, body=None):
        for fruitless in range(1, self._tries + 1):
            try:
                with self._open(method, path, body) as response:
                    data = response.read(JSON_BYTES_MAX)
                answer = json.loads(data)
            except (EvokeError, OSError, http.client.HTTPException) as error:
                self._wait(error, fruitless)
            except (ValueError, RecursionError):
                self._wait(BrokenOffError("The answer is not JSON, or broke off."), fruitless)
            else:
                if isinstance(answer, dict):
                    return answer
                raise WrongAnswerError("The answer is no JSON object.")
        raise AssertionError("the last wait raises")

    def _open(self, method, path, body=None, timeout=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {} if data is None else {"Content-Type": "application/json"}
        request = urllib.request.Request(self.server + path, data=data, headers=headers, method=method)
        if self._token:
            # Not to where a redirection leads.
            request.add_unredirected_header("Authorization", "Bearer " + self._token)
        try:
            return urllib.request.urlopen(request, timeout=timeout or self._timeout)
        except urllib.error.HTTPError as error:
            with error:
                raise EvokeError(error.code, _problem(error), _retry_after(error.headers.get("Retry-After"))) from None

    def _wait(self, error, fruitless):
        """Pauses before another try; raises the error when there is to be none."""
        asked = error.retry_after if isinstance(error, EvokeError) else None
        passes = not isinstance(error, EvokeError) or error.retryable
        if not passes or fruitless >= self._tries or (asked or 0) > RETRY_AFTER_SECONDS_MAX:
            raise error
        # Half of it is chance, so that clients cut off together do not come back together.
        own = min(PAUSE_SECONDS_MAX, 0.25 * 2 ** (fruitless - 1)) * (0.5 + 0.5 * random.random())
        seconds = own if asked is None else asked
        if self._on_wait is not None:
            self._on_wait(error, seconds)
        time.sleep(seconds)

    def _remembered_digest(self, path, tag):
        """None where the service remembers none, or cannot say: the events have been counted all the same."""
        try:
            with self._open("HEAD", path, timeout=min(10, self._timeout)) as response:
                return _sha256_of(response) if _strong_tag(response) == tag else None
        except (EvokeError, OSError, http.client.HTTPException):
            return None


def read(dataset, start_event, last_event, columns=None, **service):
    """All events as one pyarrow.Table; without pyarrow a dict with a list per column. `service`: as for Evoke."""
    return Evoke(**service).read(dataset, start_event, last_event, columns)


def iter_batches(dataset, start_event, last_event, columns=None, **service):
    """The events in order, as they arrive: pyarrow.RecordBatch, without pyarrow dicts with a list per column."""
    return Evoke(**service).iter_batches(dataset, start_event, last_event, columns)


def datasets(**service):
    """The declared datasets."""
    return Evoke(**service).datasets()


def dataset(name, **service):
    """A dataset's definition, its columns with their units, and how it stands."""
    return Evoke(**service).dataset(name)


def declare(name, generator, seed, events, server=None, token=None, **more):
    """Declares a dataset; the same again changes nothing. `more`: version, parameters, chunkEvents, input, files."""
    return Evoke(server, token).declare(name, generator, seed, events, **more)


def plan(name, start_event, last_event, **service):
    """What the events would take; nothing is made."""
    return Evoke(**service).plan(name, start_event, last_event)


def _path(dataset):
    scope, _, name = dataset.partition(":")
    if not all(re.fullmatch("[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}", part) for part in (scope, name)):
        raise ValueError("%r is not a dataset's name: write scope:name" % dataset[:80])
    return "/v1/datasets/%s/%s" % (scope, name)


def _range_text(start_event, last_event):
    if not 1 <= start_event <= last_event:
        raise ValueError("%r to %r is no range of events: they count from 1, both ends included" % (start_event, last_event))
    return "%d-%d" % (start_event, last_event)


def _rows_of(lines):
    try:
        rows = [json.loads(line) for line in lines.splitlines()]
    except (ValueError, RecursionError) as error:
        raise WrongAnswerError("A line is not JSON: %s" % error) from error
    if not all(isinstance(row, dict) and row for row in rows):
        raise WrongAnswerError("A line is no JSON object.")
    return rows


def _columns_of(rows):
    names = list(rows[0])
    if any(list(row) != names for row in rows):
        raise WrongAnswerError("The lines do not have the same columns.")
    return {name: [row[name] for row in rows] for name in names}


def _body(response):
    while True:
        data = response.read1(READ_BYTES)
        if not data:
            return
        yield data


def _problem(response):
    try:
        problem = json.loads(response.read(64 * 1024))
    except (OSError, http.client.HTTPException, ValueError):
        return {}
    return problem if isinstance(problem, dict) else {}


def _retry_after(header):
    """Seconds, from seconds or a date; None when absent or nonsense."""
    if header is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}", header):
        return int(header)
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return None


def _strong_tag(response):
    match = re.fullmatch('"[\x21\x23-\x7e]+"', response.headers.get("ETag") or "")
    return match and match.group()


def _sha256_of(response):
    match = re.search(r"(?:^|,\s*)sha-256=:([A-Za-z0-9+/=]+):", response.headers.get("Repr-Digest") or "")
    return match and match.group(1)


class _Lines:
    """A body of lines, cut into runs of whole ones."""

    ended = False
    derivation = None

    def __init__(self, goes_on, asked, derivation):
        self._rest = []
        self._rest_bytes = 0

    def push(self, data):
        end = data.rfind(b"\n") + 1
        whole = []
        if end > 0:
            whole = [(b"".join(self._rest) + data[:end], data.count(b"\n"))]
            self._rest, self._rest_bytes = [], 0
        if end < len(data):
            self._rest.append(data[end:])
            self._rest_bytes += len(data) - end
            if self._rest_bytes > PIECE_BYTES_MAX:
                raise WrongAnswerError("The answer has a line that is far too long.")
        return whole


END_MARKER = b"\xff\xff\xff\xff\0\0\0\0"
SCHEMA, RECORD_BATCH = 1, 3


class _Messages:
    """An Arrow IPC stream, cut at its messages. When it goes on in the middle, its schema is checked and left out."""

    def __init__(self, goes_on, asked, derivation):
        self._goes_on, self._asked = goes_on, asked
        self._buffer = bytearray()
        self._schema_seen = False
        self.derivation = derivation
        self.ended = False

    def push(self, data):
        self._buffer += data
        pieces = []
        try:
            while len(self._buffer) >= 8 and not self.ended:
                marker, metadata_bytes = struct.unpack_from("<iI", self._buffer)
                if marker != -1:
                    raise WrongAnswerError("The answer is not Arrow.")
                if metadata_bytes == 0:
                    self._end(pieces)
                    break
                self._check_size(metadata_bytes)
                if len(self._buffer) < 8 + metadata_bytes:
                    break
                message = _Flatbuffer(bytes(self._buffer[8 : 8 + metadata_bytes]))
                length = 8 + metadata_bytes + message.number(3, "<q")
                self._check_size(length)
                if len(self._buffer) < length:
                    break
                framed = bytes(self._buffer[:length])
                del self._buffer[:length]
                self._take(framed, message, pieces)
        except (struct.error, UnicodeDecodeError) as error:
            raise WrongAnswerError("The answer is not Arrow.") from error
        if self.ended and self._buffer:
            raise WrongAnswerError("The answer goes on after its end.")
        return pieces

    def _end(self, pieces):
        if not self._schema_seen:
            raise WrongAnswerError("The answer ends without a schema.")
        del self._buffer[:8]
        self.ended = True
        pieces.append((END_MARKER, 0))

    def _take(self, framed, message, pieces):
        kind = message.number(1, "<B")
        if kind not in (SCHEMA, RECORD_BATCH) or (kind == SCHEMA) == self._schema_seen:
            raise WrongAnswerError("The answer has its schema at a wrong place, or another message.")
        if kind == SCHEMA:
            self._schema_seen = True
            self._check_schema(message.table(2).pairs(2))
            if not self._goes_on:
                pieces.append((framed, 0))
        else:
            events = message.table(2).number(0, "<q")
            if events < 0:
                raise WrongAnswerError("A record batch has less than no events.")
            pieces.append((framed, events))

    def _check_schema(self, says):
        events = "%s-%s" % (says.get("startEvent"), says.get("lastEvent"))
        if events != self._asked:
            raise WrongAnswerError("The answer has events %s, not %s." % (events, self._asked))
        if self.derivation is not None and says.get("derivation") != self.derivation:
            raise WrongAnswerError("The events are others than before the interruption: start again.")
        self.derivation = says.get("derivation")

    @staticmethod
    def _check_size(length):
        if not 0 <= length <= PIECE_BYTES_MAX:
            raise WrongAnswerError("The answer has a message that is far too large.")


class _Flatbuffer:
    """A table of a flatbuffer, just enough to read the heads of Arrow's messages. @raises struct.error"""

    def __init__(self, data, at=None):
        self._data = data
        self._at = self._unpack("<I", 0) if at is None else at

    def _unpack(self, form, at):
        if at < 0:
            raise struct.error("outside")
        return struct.unpack_from(form, self._data, at)[0]

    def _slot(self, index):
        vtable = self._at - self._unpack("<i", self._at)
        entry = 4 + 2 * index
        offset = self._unpack("<H", vtable + entry) if entry < self._unpack("<H", vtable) else 0
        return None if offset == 0 else self._at + offset

    def number(self, index, form):
        at = self._slot(index)
        return 0 if at is None else self._unpack(form, at)

    def table(self, index):
        at = self._slot(index)
        if at is None:
            raise struct.error("a table is missing")
        return _Flatbuffer(self._data, at + self._unpack("<I", at))

    def _text(self, index):
        at = self._slot(index)
        if at is None:
            return ""
        at += self._unpack("<I", at)
        return self._data[at + 4 : at + 4 + self._unpack("<I", at)].decode()

    def pairs(self, index):
        """A vector of tables of a key and a value, as a dict."""
        at = self._slot(index)
        if at is None:
            return {}
        at += self._unpack("<I", at)
        places = range(at + 4, at + 4 + 4 * min(self._unpack("<I", at), len(self._data)), 4)
        tables = [_Flatbuffer(self._data, place + self._unpack("<I", place)) for place in places]
        return {table._text(0): table._text(1) for table in tables}


def _main(arguments=None):
    parser = argparse.ArgumentParser(prog="evoke.py", description="Events from an Evoke service.")
    parser.add_argument("--server", help="EVOKE_SERVER, or http://127.0.0.1:8080, unless said")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    reading = commands.add_parser("read", help="events to standard output")
    reading.add_argument("--format", choices=["ndjson", "arrow"], default="ndjson")
    reading.add_argument("--columns", help="comma-separated; all of them unless said")
    planning = commands.add_parser("plan", help="what events would take")
    for command in (reading, planning):
        command.add_argument("dataset", metavar="scope:name")
        command.add_argument("range", metavar="startEvent-lastEvent")
    commands.add_parser("datasets", help="the declared datasets, as JSON")
    options = parser.parse_args(arguments)
    try:
        _run(options, Evoke(options.server, on_wait=_say))
    except BrokenPipeError:
        # Whoever reads our output has seen enough. Nothing is left to be written when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    except (EvokeError, WrongAnswerError, OSError, http.client.HTTPException, ValueError, TypeError) as error:
        print("evoke.py: %s" % error, file=sys.stderr)
        return 2 if isinstance(error, (ValueError, TypeError)) else 1
    return 0


def _run(options, service):
    if options.command == "read":
        columns = None if options.columns is None else options.columns.split(",")
        for piece, _ in service.stream(options.dataset, *_numbers(options.range), columns, options.format):
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return
    planned = options.command == "plan"
    answer = service.plan(options.dataset, *_numbers(options.range)) if planned else service.datasets()
    print(json.dumps(answer, indent=2))


def _numbers(text):
    match = re.fullmatch(r"([1-9][0-9]{0,15})-([1-9][0-9]{0,15})", text)
    if match is None:
        raise ValueError("%r is no range of events: write startEvent-lastEvent, 1-1000" % text[:80])
    return int(match.group(1)), int(match.group(2))


def _say(error, seconds):
    print("evoke.py: %s Trying again in %.1f s." % (error, seconds), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(_main())
