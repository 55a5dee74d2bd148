"""Drives the program that LLMDBG names, or llmdbg."""

import os
import subprocess
import tempfile
import threading
import time
import unittest

import numpy as np

from llmdbg_client import CommandError, ConnectionLost, Session

PROGRAM = os.environ.get("LLMDBG", "llmdbg")
PROMPT = "When Mary and John went to the store, John gave a drink to"


class ClientTest(unittest.TestCase):
    def test_commands_values_and_tables(self) -> None:
        with Session.open("tiny-gpt2", PROMPT, device="cpu", arguments=["-nx"]) as session:
            stop = session.run("until L2.attn.pattern")
            self.assertEqual((stop.kind, stop.content["site"]), ("Stop", "blocks.2.attn.pattern"))
            pattern = session.value("L2.attn.pattern")
            self.assertEqual((pattern.axes, pattern.array.shape), (["head", "q", "k"], (4, 14, 14)))
            self.assertEqual(pattern.array.dtype, np.float32)
            np.testing.assert_allclose(pattern.array.sum(axis=-1), 1.0, rtol=1e-6)
            # NaN and infinities come as they are.
            scores = session.value("L2.attn.scores[head=0]").array
            self.assertTrue(np.isneginf(scores[0, 1]) and np.isnan(session.number("0/0")))
            session.run("continue")
            self.assertGreater(session.number('logit(" Mary") - logit(" John")'), 5)
            columns, rows = session.table("lens")
            self.assertEqual(columns[0], "At")
            self.assertGreater(len(rows), 4)
            with self.assertRaisesRegex(CommandError, "no site"):
                session.run("output nosuch")
            self.assertEqual(session.run("echo hello\\n").printed, ["hello"])

    def test_an_interrupt(self) -> None:
        with Session.open("tiny-gpt2", PROMPT, device="cpu", arguments=["-nx"]) as session:
            threading.Timer(0.5, session.interrupt).start()
            start = time.monotonic()
            with self.assertRaises(CommandError):
                session.run("while 1\nlist\nend")
            self.assertLess(time.monotonic() - start, 60)
            session.run("when")

    def test_a_socket_goes_on_and_what_is_no_server_is_refused(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "s")
            arguments = ["serve", "--socket", path, "-nx", "--device", "cpu"]
            server = subprocess.Popen([PROGRAM, *arguments], stderr=subprocess.DEVNULL)
            try:
                while not os.path.exists(path):
                    time.sleep(0.05)
                with Session.connect(path) as session:
                    session.run("set $x = 7")
                with Session.connect(f"{PROGRAM} attach {path}") as session:
                    self.assertEqual(session.number("$x"), 7)
            finally:
                server.terminate()
                server.wait()
        with self.assertRaisesRegex(ConnectionLost, "not an llmdbg server"):
            Session.connect("echo hello")
        with self.assertRaisesRegex(ConnectionLost, "nothing"):
            Session.open("./nothing", arguments=["-nx"])


if __name__ == "__main__":
    unittest.main()
