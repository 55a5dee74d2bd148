"""Drives llmdbg from Python: a session here or elsewhere, commands, and values as numpy arrays."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import threading
import uuid
from dataclasses import dataclass
from typing import IO, Any, Callable, Sequence

import cbor2
import numpy as np

__all__ = ["Answer", "CommandError", "ConnectionLost", "Session", "Value"]

MAGIC = b"LLMDBG\r\n"
PROTOCOL = 1
LONGEST = 256 << 20
DTYPES = {"bool": np.bool_, "i64": np.int64, "f64": np.float64}


class CommandError(Exception):
    """A command failed; the message is the one that the prompt shows."""


class ConnectionLost(Exception):
    """There is no session at the other end, or no more."""


@dataclass(frozen=True)
class Answer:
    """What a command answered: its kind (Text, Value, Table, Map, Tokens, Stop), its content, and the lines that it printed."""

    kind: str
    content: Any
    printed: list[str]


@dataclass(frozen=True)
class Value:
    """The elements of an expression, and the names of their axes (empty where an axis has none)."""

    array: np.ndarray[Any, Any]
    axes: list[str]


class Session:
    """A session. Commands run one at a time; :meth:`interrupt` may be called from another thread."""

    def __init__(self, source: IO[bytes], sink: IO[bytes], close: Callable[[], None]) -> None:
        self._source, self._sink, self._close = source, sink, close
        self._writing = threading.Lock()
        self._number = 0
        self._ended = False
        hello = {"protocol": PROTOCOL, "version": "python", "client": uuid.uuid4().hex, "received": 0}
        try:
            self._sink.write(MAGIC)
            self._send(hello)
        except OSError:
            pass  # What the other end has said says why.
        seen = self._source.read(len(MAGIC))
        if seen != MAGIC:
            raise ConnectionLost(f"the other end is not an llmdbg server: it said {seen!r}")
        welcome = self._receive()
        if welcome.get("protocol") != PROTOCOL:
            theirs, version = welcome.get("protocol"), welcome.get("version")
            raise ConnectionLost(
                f"the other end speaks protocol {theirs} (llmdbg {version}), and this package {PROTOCOL}"
            )
        if welcome.get("refused"):
            raise ConnectionLost(f"the other end refused: {welcome['refused']}")
        #: The folder to which the names of files in commands belong.
        self.folder: str = welcome["folder"]
        while True:
            kind, content = self._event()
            if kind == "Ready":
                break
            if kind == "LoadFailed":
                raise ConnectionLost(content)

    @classmethod
    def open(
        cls,
        model: str,
        prompt: str | Sequence[str] | None = None,
        *,
        device: str | None = None,
        arguments: Sequence[str] = (),
        program: str | None = None,
    ) -> Session:
        """Opens a model in a session of this machine. `arguments` are further options of llmdbg."""
        words = [program or os.environ.get("LLMDBG", "llmdbg"), "serve", "--stdio", *arguments]
        for text in [prompt] if isinstance(prompt, str) else prompt or []:
            words += ["-p", text]
        if device is not None:
            words += ["--device", device]
        return cls._over(words + ["--", model])

    @classmethod
    def connect(cls, target: str) -> Session:
        """Connects to a session: a command whose input and output are the connection, or the path of a socket."""
        if len(target.split()) > 1:
            return cls._over(shlex.split(target))
        line = socket.socket(socket.AF_UNIX)
        line.connect(target)
        source, sink = line.makefile("rb"), line.makefile("wb")

        def close() -> None:
            try:
                line.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # The other end has closed it already.
            source.close()
            sink.close()
            line.close()

        return cls(source, sink, close)

    @classmethod
    def _over(cls, words: Sequence[str]) -> Session:
        child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert child.stdin is not None and child.stdout is not None
        sink, source = child.stdin, child.stdout

        def close() -> None:
            for end in (sink, source):
                try:
                    end.close()
                except OSError:
                    pass
            child.wait(timeout=30)

        try:
            return cls(source, sink, close)
        except BaseException:
            close()
            raise

    def run(self, line: str, progress: Callable[[str, int, int], None] | None = None) -> Answer:
        """Runs a command line and gives its answer. Raises CommandError if it fails."""
        self._number += 1
        number = self._number
        self._up(
            {"Request": {"number": number, "request": {"Command": {"id": number, "line": line, "source": "Option"}}}}
        )
        printed: list[str] = []
        while True:
            kind, content = self._event()
            if kind == "Progress" and progress is not None:
                progress(content["what"], content["done"], content["total"])
            elif kind == "LoadFailed":
                raise ConnectionLost(content)
            elif kind == "Answer":
                printed += content["printed"]
                if content["in_script"] or content["id"] != number:
                    continue
                ((kind, answer),) = content["answer"].items()
                if kind == "Error":
                    raise CommandError(answer["message"])
                return Answer(kind, answer, printed)

    def value(self, expression: str) -> Value:
        """The elements of an expression, all of them."""
        answer = self.run(f"output/r {expression}")
        if answer.kind != "Value" or answer.content["data"] is None:
            raise CommandError(f"{expression} is not a value: {answer.content}")
        content = answer.content
        array: np.ndarray[Any, Any] = np.array(content["data"], dtype=np.float64).astype(
            DTYPES.get(content["dtype"], np.float32)
        )
        return Value(array.reshape(content["shape"]), list(content["axes"]))

    def number(self, expression: str) -> float:
        """An expression that is one number."""
        array = self.value(expression).array
        if array.ndim:
            raise CommandError(f"{expression} is not one number: its shape is {array.shape}")
        return float(array)

    def table(self, line: str) -> tuple[list[str], list[list[Any]]]:
        """The columns and rows of a command whose answer is a table."""
        answer = self.run(line)
        if answer.kind != "Table":
            raise CommandError(f"{line} answers with {answer.kind}, not a table")

        def cell(value: Any) -> Any:
            return None if value == "Empty" else next(iter(value.values()))

        return answer.content["columns"], [[cell(value) for value in row] for row in answer.content["rows"]]

    def interrupt(self) -> None:
        """Interrupts what runs, as Ctrl-C does."""
        self._up("Interrupt")

    def close(self) -> None:
        """Leaves the session: one of this machine ends, one on a socket goes on."""
        if not self._ended:
            self._ended = True
            try:
                self._up("Leave")
            except OSError:
                pass
            self._close()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _up(self, message: Any) -> None:
        self._send(message)

    def _send(self, message: Any) -> None:
        data = cbor2.dumps(message)
        with self._writing:
            self._sink.write(len(data).to_bytes(4, "big") + data)
            self._sink.flush()

    def _exactly(self, count: int) -> bytes:
        data = self._source.read(count)
        if len(data) < count:
            raise ConnectionLost("the connection has ended")
        return data

    def _receive(self) -> Any:
        length = int.from_bytes(self._exactly(4), "big")
        if length > LONGEST:
            raise ConnectionLost(f"a message of {length} bytes is longer than the {LONGEST} that are taken")
        return cbor2.loads(self._exactly(length))

    def _event(self) -> tuple[str, Any]:
        message = self._receive()
        if message["number"]:
            self._up({"Received": message["number"]})
        event = message["event"]
        return next(iter(event.items())) if isinstance(event, dict) else (event, None)
