"""Packs a folder, the same bytes for the same files. usage: EFFORT=1..9 python3 archive.py FOLDER ARCHIVE

Owns the two formats of a release, .tar.gz and .zip: names sorted, one time (SOURCE_DATE_EPOCH), no owner, and a mode that is
0755 for what can be run and 0644 for the rest. Does not decide what is in the folder.
"""

import gzip
import os
import pathlib
import sys
import tarfile
import time
import zipfile

EFFORT = int(os.environ["EFFORT"])


def main():
    folder, archive = map(pathlib.Path, sys.argv[1:])
    epoch = int(os.environ["SOURCE_DATE_EPOCH"])
    paths = [folder, *sorted(folder.rglob("*"), key=lambda path: path.as_posix())]
    named = [(path.relative_to(folder.parent).as_posix(), path) for path in paths]
    if archive.suffix == ".zip":
        pack_zip(named, archive, epoch)
    else:
        pack_tar(named, archive, epoch)


def mode(path):
    return 0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644


def pack_tar(named, archive, epoch):
    # No name and no time in the header of gzip, as `gzip -n`.
    with open(archive, "wb") as raw, gzip.GzipFile(filename="", mode="wb", compresslevel=EFFORT, fileobj=raw, mtime=0) as packed:
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for name, path in named:
                entry = tar.gettarinfo(path, name)
                entry.mode, entry.mtime = mode(path), epoch
                entry.uid = entry.gid = 0
                entry.uname = entry.gname = "root"
                if path.is_dir():
                    tar.addfile(entry)
                else:
                    with open(path, "rb") as file:
                        tar.addfile(entry, file)


def pack_zip(named, archive, epoch):
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=EFFORT) as packed:
        for name, path in named:
            if path.is_dir():
                continue
            entry = zipfile.ZipInfo(name, time.gmtime(epoch)[:6])
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, wherever this runs: the mode is one of Unix
            entry.external_attr = mode(path) << 16
            packed.writestr(entry, path.read_bytes(), compresslevel=EFFORT)


main()
