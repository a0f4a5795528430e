"""Runs an image as its configuration says, without a container. usage: unshare --mount python3 image.py ROOT CONFIGURATION

ROOT is the tree of the image, and CONFIGURATION what `buildah inspect --type image` says of it. Shows that the tree is what is
copied and nothing else, that it holds certificates, and that the program runs there as somebody who is not root and can write to
its folder only. Needs root itself, for chroot.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys

# Leaves this machine for the image, in its folder and as its user.
ENTER = """
import os, sys
root, folder, user, group, *command = sys.argv[1:]
os.chroot(root)
os.chdir(folder)
os.setgroups([])
os.setgid(int(group))
os.setuid(int(user))
os.execve(command[0], command, {"PATH": "/usr/bin"})
"""


def main():
    root = pathlib.Path(sys.argv[1])
    config = json.loads(pathlib.Path(sys.argv[2]).read_text(encoding="utf-8"))["OCIv1"]["config"]
    user, group = map(int, config["User"].split(":"))
    assert user and group, "it runs as root"
    tree = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir())
    assert tree == ["etc/ssl/certs/ca-certificates.crt", "usr/bin/portward"], tree
    assert b"BEGIN CERTIFICATE" in (root / tree[0]).read_bytes(), "there are no certificates"

    # A program that is not linked statically, such as a debug build, needs the C library of this machine besides.
    if b"ld-linux" in (root / "usr/bin/portward").read_bytes()[:4096]:
        for library in filter(os.path.exists, ("/lib", "/lib64")):
            (root / library[1:]).mkdir()
            subprocess.run(["mount", "--bind", os.path.realpath(library), root / library[1:]], check=True)
    work = root / config["WorkingDir"][1:]
    shutil.copy("firewall.example.toml", work / "firewall.toml")
    shutil.copytree("examples/fleet", work / "examples/fleet")

    def run(*arguments):
        where = [str(root), config["WorkingDir"], str(user), str(group)]
        return subprocess.run([sys.executable, "-c", ENTER, *where, *config["Entrypoint"], *arguments], capture_output=True, text=True, check=False)

    for arguments in (["--version"], ["check"], ["man", "--out", "man"]):
        done = run(*arguments)
        assert done.returncode == 0, f"{arguments}: {done}"
    assert (work / "man/portward.1").stat().st_uid == user
    done = run("man", "--out", "/usr/man")
    assert done.returncode == 1 and not (root / "usr/man").exists(), f"it writes outside its folder: {done}"
    print("image: 1 passed, 0 failed")


main()
