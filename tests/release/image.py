"""Carries out release/Dockerfile without Docker. usage: unshare --mount python3 image.py CONTEXT

Owns the few instructions that the file may have, and refuses any other. The result must be a tree with exactly what is copied,
which runs a check as the user that it names, and which holds certificates. Needs root, for chroot.
"""

import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile

MODES = {"755": 0o755, "0755": 0o755}


def instructions(text):
    lines = text.replace("\\\n", " ").splitlines()
    return [line.split(maxsplit=1) for line in lines if line.strip() and not line.startswith("#")]


def build(text, context, root, platform):
    """Lays out the tree, and returns what a run of it is."""
    run = {"USER": "0:0", "WORKDIR": "/"}
    began = False
    for name, rest in instructions(text):
        rest = rest.replace("${TARGETPLATFORM}", platform)
        if name == "FROM":
            assert rest == "scratch" and not began, "the image stands on something"
            began = True
        elif name == "COPY":
            words = shlex.split(rest)
            flags = dict(word[2:].split("=") for word in words if word.startswith("--"))
            source, target = [word for word in words if not word.startswith("--")]
            copy(context / source, root / target.lstrip("/"), flags)
        elif name in ("USER", "WORKDIR", "ENTRYPOINT"):
            run[name] = rest
        else:
            assert name == "ARG" and rest == "TARGETPLATFORM", f"{name} is not known here"
    return run


def copy(source, target, flags):
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy(source, target)
    if mode := flags.pop("chmod", None):
        target.chmod(MODES[mode])
    if owner := flags.pop("chown", None):
        os.chown(target, *map(int, owner.split(":")))
    assert not flags, f"{flags} are not known here"


def main():
    context = pathlib.Path(sys.argv[1])
    text = pathlib.Path("release/Dockerfile").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        root.chmod(0o755)
        run = build(text, context, root, "linux/amd64" if os.uname().machine == "x86_64" else "linux/arm64")
        tree = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir())
        assert tree == ["etc/ssl/certs/ca-certificates.crt", "usr/bin/portward"], tree
        assert b"BEGIN CERTIFICATE" in (root / tree[0]).read_bytes(), "there are no certificates"
        user, group = map(int, run["USER"].split(":"))
        assert user and group, "it runs as root"
        assert run["ENTRYPOINT"] == '["/usr/bin/portward"]', run["ENTRYPOINT"]

        # A program that is not linked statically, such as a debug build, needs the C library of this machine besides.
        mounted = []
        if b"ld-linux" in (root / "usr/bin/portward").read_bytes()[:4096]:
            for library in ("lib", "lib64"):
                if os.path.exists(f"/{library}"):
                    (root / library).mkdir()
                    subprocess.run(["mount", "--bind", os.path.realpath(f"/{library}"), root / library], check=True)
                    mounted.append(root / library)
        shutil.copy("firewall.example.toml", root / "work/firewall.toml")
        shutil.copytree("examples/fleet", root / "work/examples/fleet")
        os.chmod(root / "work/firewall.toml", 0o644)
        script = (
            "import os, sys\n"
            f"os.chroot({folder!r}); os.chdir({run['WORKDIR']!r}); os.setgroups([]); os.setgid({group}); os.setuid({user})\n"
            "os.execve('/usr/bin/portward', ['portward', *sys.argv[1:]], {'PATH': '/usr/bin'})\n"
        )
        try:
            for arguments in (["--version"], ["check"], ["inventory", "--emulator", "no-such"]):
                done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False)
                expected = 1 if "no-such" in arguments else 0
                assert done.returncode == expected, f"{arguments}: {done}"
            # What it writes goes into the folder that is mounted there.
            done = subprocess.run([sys.executable, "-c", script, "man", "--out", "/work/man"], capture_output=True, text=True, check=False)
            assert done.returncode == 0 and (root / "work/man/portward.1").stat().st_uid == user, done
        finally:
            for mount in mounted:
                subprocess.run(["umount", mount], check=True)
    # What is not understood must not pass.
    for bad in ("FROM debian\n", "FROM scratch\nRUN true\n", "FROM scratch\nCOPY --link a b\n"):
        with tempfile.TemporaryDirectory() as folder:
            try:
                build(bad, context, pathlib.Path(folder), "linux/amd64")
            except (AssertionError, ValueError, OSError):
                continue
            sys.exit(f"FAILED: {bad!r} passes")
    print("image: 1 passed, 0 failed")


main()
