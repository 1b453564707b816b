"""A model that writes programs for the Sovereign VM: the providers of the settings, on a leash.

Whatever a server does, `write` ends in time: the answer is read on a thread of its own, and who waits for it does not
wait longer than `vm.timeout`.
"""

import queue
import threading

from pipeline.backends.providers.choice import Fallback, fallback
from pipeline.backends.providers.interface import Options
from pipeline.backends.providers.registry import known
from pipeline.evolution.reference import language
from pipeline.lib.config import Settings

_READ = 4  # characters that are read for one that may be kept: fences and thoughts are not code


class ProviderWriter:
    """See `pipeline.evolution.writing.Writer`. Nothing is asked, and nobody looked for, before the first `write`."""

    def __init__(self, settings: Settings, most: int) -> None:
        """Open nothing yet.

        Args:
            settings: which providers, and `vm`.
            most: characters of code that may be kept.
        """
        self._settings = settings
        self._most = most * _READ
        self._asked: Fallback | None = None

    def write(self, prompt: str) -> str:
        """See Writer."""
        seconds = self._settings.vm.timeout
        answers: queue.SimpleQueue[str | Exception] = queue.SimpleQueue()
        given_up = threading.Event()
        # A daemon: a server that never answers must not keep the process alive.
        threading.Thread(target=self._answer, args=(prompt, answers, given_up), daemon=True).start()
        try:
            answer = answers.get(timeout=seconds)
        except queue.Empty:
            given_up.set()
            self.close()
            raise TimeoutError(f"no answer within {seconds:g} s") from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        """Close the connections; the next `write` opens new ones."""
        asked, self._asked = self._asked, None
        if asked is not None:
            asked.close()

    def _answer(self, prompt: str, answers: "queue.SimpleQueue[str | Exception]", given_up: threading.Event) -> None:
        try:
            answers.put(self._read(prompt, given_up))
        except Exception as error:  # it is raised again where somebody waits for it
            answers.put(error)

    def _read(self, prompt: str, given_up: threading.Event) -> str:
        if self._asked is None:
            self._asked = fallback(self._settings, known(self._settings))
        own = self._settings.vm
        content = f"{language()}\n\n{prompt}" if own.reference else prompt
        pieces: list[str] = []
        length = 0
        for piece in self._asked.stream([{"role": "user", "content": content}], Options(max_tokens=own.max_tokens)):
            pieces.append(piece)
            length += len(piece)
            if length > self._most or given_up.is_set():
                raise ValueError(f"its answer does not end: {length} characters so far")
        return "".join(pieces)
