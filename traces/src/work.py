"""Work of the kinds that python programs do, for two or three seconds: the program behind python3.trace.

Small objects and large, threads, children by subprocess and by fork, a database on disk, mapped files.
"""
import concurrent.futures
import gc
import hashlib
import json
import mmap
import os
import random
import re
import sqlite3
import subprocess
import sys
import tempfile
import zlib

random.seed(7)
WORDS = "page fault folio frame table cursor gather flush fork copy write shared private anonymous".split()


def documents(count):
    return [{"id": i, "words": random.choices(WORDS, k=20), "weight": random.random()} for i in range(count)]


def json_and_regex(count):
    text = json.dumps(documents(count), indent=1)
    back = json.loads(text)
    pairs = re.findall(r'"(f\w+)",\s+"(\w+)"', text)
    return len(back), len(pairs), len(re.sub(r"\s+", " ", text))


def database(path, count):
    with sqlite3.connect(path) as db:
        db.execute("pragma mmap_size = 1048576")
        db.execute("pragma journal_mode = wal")
        db.execute("create table t (id integer primary key, word text, weight real)")
        db.executemany("insert into t (word, weight) values (?, ?)",
                       ((random.choice(WORDS), random.random()) for _ in range(count)))
        db.execute("create index i on t (word, weight)")
        db.commit()
        return db.execute("select word, count(*), avg(weight) from t group by word").fetchall()


def squeeze(seed):
    data = random.Random(seed).randbytes(300_000) + bytes(300_000)
    return hashlib.sha256(zlib.compress(data, 6)).hexdigest()


def mapped_file(path):
    with open(path, "wb") as out:
        out.write(bytes(range(256)) * 1024)
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as view:
        view[1000:1010] = b"0123456789"
        view.resize(512 * 1024)
        view[-1] = 7
        view.flush()
        found = view.find(b"456")
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as view:
        view[2000:3000] = bytes(1000)
        return found, view[1005]


def forked_child():
    numbers = list(range(200_000))
    child = os.fork()
    if not child:
        numbers[::50] = [0] * len(numbers[::50])
        os._exit(sum(numbers) % 7)
    numbers[::70] = [1] * len(numbers[::70])
    return os.waitpid(child, 0)[1]


def main():
    with tempfile.TemporaryDirectory() as place:
        print(json_and_regex(4000))
        print(len(database(os.path.join(place, "db"), 40_000)))
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            print(len(set(pool.map(squeeze, range(12)))))
        print(mapped_file(os.path.join(place, "file")))
        print(forked_child())
        print(subprocess.run(["sort", "-r"], input="\n".join(WORDS), capture_output=True, text=True).stdout.split()[0])
        print(subprocess.run([sys.executable, "-c", "import decimal; print(decimal.Decimal(2).sqrt())"],
                             capture_output=True, text=True).stdout.strip())
        gc.collect()
        print(json_and_regex(500))


main()
