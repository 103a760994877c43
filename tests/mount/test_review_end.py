# SPDX-License-Identifier: GPL-2.0-or-later
"""The end of a mount while requests run, wait, or are about to come: nothing hangs or crashes."""
import os
import signal
import threading


def test_signals_while_the_worker_ends(mounted):
    weir = mounted()
    for _ in range(10):
        process = weir.process
        stop = threading.Event()

        def annoy():
            while not stop.is_set():
                try:
                    os.kill(process.pid, signal.SIGHUP)
                except ProcessLookupError:
                    return

        thread = threading.Thread(target=annoy)
        thread.start()
        try:
            weir.stop()
        finally:
            stop.set()
            thread.join()
        weir.start()
