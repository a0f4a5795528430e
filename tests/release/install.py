"""Runs install.sh against a file server on loopback. usage: python3 install.py DIST

Owns a release as it would be published, made of the folder DIST of release/build, and every way in which it can arrive wrong.
What is refused must leave nothing behind, and half of the script must do nothing.
"""

import hashlib
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from loopback import Server  # noqa: E402

SCRIPT = pathlib.Path("install.sh").read_bytes()
REPOSITORY = dict(line.split("=") for line in pathlib.Path("release/place").read_text().splitlines() if "=" in line and line[0] != "#")["REPOSITORY"]


class Machine:
    """A home without anything, and a PATH with the tools of a small system and the stubs that a case asks for."""

    def __init__(self, url, **stubs):
        self.folder = tempfile.TemporaryDirectory()
        top = pathlib.Path(self.folder.name)
        self.home, bin = top / "home", top / "bin"
        for folder in (self.home, bin, top / "tmp"):
            folder.mkdir()
        for tool in "bash cat chmod cp curl cut echo grep gzip mkdir mktemp mv rm sed sh sha256sum tar touch tr uname wc".split():
            if found := shutil.which(tool, path="/usr/bin:/bin"):
                (bin / tool).symlink_to(found)
        for name, text in stubs.items():
            (bin / name).unlink(missing_ok=True)
            (bin / name).write_text(text)
            (bin / name).chmod(0o755)
        self.env = {"PATH": str(bin), "HOME": str(self.home), "TMPDIR": str(top / "tmp"), "PORTWARD_RELEASES": url}
        self.top = top

    def run(self, script=SCRIPT, **env):
        done = subprocess.run(["sh"], input=script, env=self.env | env, cwd=self.home, capture_output=True, check=False)
        self.said = (done.stdout + done.stderr).decode()
        return done.returncode

    @property
    def program(self):
        return self.home / ".local/bin/portward"

    def is_untouched(self):
        left = [path for path in self.home.rglob("*")] + list((self.top / "tmp").iterdir())
        return not left

    def installed(self):
        return self.program.exists() and subprocess.run([self.program, "--version"], capture_output=True, check=False).returncode == 0


def main():
    dist = pathlib.Path(sys.argv[1])
    [archive] = dist.glob("portward-*-unknown-linux-musl.tar.gz")
    version = archive.name.split("-")[1]
    body, sums = archive.read_bytes(), (dist / "SHA256SUMS").read_bytes()
    sha256 = hashlib.sha256(body).hexdigest()
    server = Server()
    url = server.url
    tagged, latest = f"/download/v{version}", "/latest/download"
    failed = number = 0

    def check(title, holds, machine=None):
        nonlocal failed, number
        number += 1
        failed += not holds
        print(f"{'ok' if holds else 'not ok'} {number} - {title}")
        if not holds and machine:
            print("# " + machine.said.replace("\n", "\n# "))

    def publish(archive=body, sums=sums, cut=()):
        server.asked.clear()
        server.cut = set(cut)
        server.files = {f"{at}/{name}": what for at in (tagged, latest) for name, what in ((dist_name, archive), ("SHA256SUMS", sums))}

    dist_name = archive.name
    publish()
    for title, env in [("the latest release", {}), ("a version", {"PORTWARD_VERSION": version}), ("a tag", {"PORTWARD_VERSION": f"v{version}"}), ("a version by its sum", {"PORTWARD_VERSION": version, "PORTWARD_SHA256": sha256})]:
        machine = Machine(url)
        check(f"{title} is installed", machine.run(**env) == 0 and machine.installed(), machine)
    elsewhere = str(machine.top / "else where")
    check("it goes where it is told to", machine.run(PORTWARD_INSTALL_DIR=elsewhere) == 0 and os.path.exists(f"{elsewhere}/portward"), machine)
    check("it takes the place of an old one", machine.run() == 0 and sorted(p.name for p in machine.program.parent.iterdir()) == ["portward"], machine)

    def refused(title, why, stubs=None, **env):
        machine = Machine(url, **(stubs or {}))
        code = machine.run(**env)
        check(f"{title} is refused", code not in (0, 127) and why in machine.said and machine.is_untouched(), machine)

    seed = int(os.environ.get("PORTWARD_TEST_SEED", random.randrange(2**32)))
    print(f"# PORTWARD_TEST_SEED={seed}")
    rng = random.Random(seed)
    for _ in range(3):
        at = rng.randrange(len(body))
        publish(archive=body[:at] + bytes([body[at] ^ 1 << rng.randrange(8)]) + body[at + 1 :])
        refused(f"an archive with a wrong bit in byte {at}", "was changed or cut off")
        publish(archive=body[:at])
        refused(f"an archive of {at} bytes", "was changed or cut off")
    publish(cut=[f"{latest}/{dist_name}"])
    refused("a download that breaks off", "cannot fetch")
    publish(sums=sums[: len(sums) // 3])
    refused("a list of sums that is cut off", "names no archive")
    publish(sums=sums + sums)
    refused("a list with two archives for one machine", "names several")
    publish(sums=sums.replace(sha256.encode(), b"0" * 64))
    refused("a list with another sum", "was changed or cut off")
    publish()
    refused("a version that is not there", "cannot fetch", PORTWARD_VERSION="99.0.0")
    refused("a version that is a path", "is not a version", PORTWARD_VERSION="../../latest")
    refused("another sum than the one asked for", "was changed or cut off", PORTWARD_VERSION=version, PORTWARD_SHA256="0" * 64)
    refused("a sum without a version", "PORTWARD_VERSION", PORTWARD_SHA256=sha256)
    server.files[f"/download/v9.9.9/{dist_name}"], server.files["/download/v9.9.9/SHA256SUMS"] = body, sums
    refused("a version with the files of another", "has version", PORTWARD_VERSION="9.9.9")
    for place in ("http://releases.example", f"http://127.0.0.1:{server.port}@releases.example", "http://localhost.example/x", "ftp://127.0.0.1/", "file:///tmp"):
        refused(f"{place.replace(str(server.port), 'PORT')}, which is neither https nor loopback,", "is not", PORTWARD_RELEASES=place)
    refused("a machine that no archive is for", "cargo install", stubs={"uname": "#!/bin/sh\necho Plan9\n"})

    # Who built it.
    def gh(verdict):
        return {"gh": f'#!/bin/sh\necho "$*" >>"$HOME/../asked"\ncase $1 in auth) exit 0 ;; esac\nexit {verdict}\n'}

    refused("an archive that somebody else built", "was not built by", stubs=gh(1))
    refused("an archive of which nobody can tell who built it, where that is required,", "nobody can tell", PORTWARD_ATTESTATION="require")
    machine = Machine(url, **gh(0))
    good = machine.run(PORTWARD_ATTESTATION="require") == 0 and machine.installed()
    asked = (machine.top / "asked").read_text()
    check("the attestation is asked of the right repository", good and f"--repo {REPOSITORY} --signer-workflow {REPOSITORY}/.github/workflows/release.yml" in asked, machine)

    # The cache.
    machine = Machine(url)
    cache = machine.top / "cache"
    env = {"PORTWARD_VERSION": version, "PORTWARD_SHA256": sha256, "PORTWARD_CACHE": str(cache)}
    machine.run(**env)
    server.asked.clear()
    check("an archive that was kept is not fetched again", machine.run(**env) == 0 and not server.asked, machine)
    (cache / dist_name).write_bytes(body[:-1] + b"\0")
    check("one that was changed is", machine.run(**env) == 0 and len(server.asked) == 1 and (cache / dist_name).read_bytes() == body, machine)

    # `curl | sh` runs what has arrived.
    ends = {at + 1 for at, byte in enumerate(SCRIPT) if byte == ord("\n")} | {rng.randrange(len(SCRIPT)) for _ in range(40)}
    mark = '#!/bin/sh\n: >"$HOME/touched"\n'
    machine = Machine(url, **{tool: mark for tool in ("curl", "mktemp", "mkdir", "tar", "uname", "sed", "cp", "mv", "rm")})
    acting = []
    for end in sorted(ends - {len(SCRIPT)}):
        if SCRIPT[:end].endswith(b"\nmain"):
            continue  # whole, but for the end of its last line
        machine.run(script=SCRIPT[:end])
        if not machine.is_untouched():
            acting.append(end)
            break
    check(f"half of the script does nothing, at {len(ends)} places", not acting, machine)
    machine.run()
    check("the whole of it does something", not machine.is_untouched(), machine)
    print(f"install: {number - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


main()
