"""Who can reach a cluster that `agenome score` starts, and TLS to one that others have started."""

import shutil
import subprocess
import sys

import pytest

pytest.importorskip("distributed")

LOCAL = """
import psutil
from ag_scorers.cluster.clients import open_cluster

if __name__ == "__main__":
    with open_cluster(None, 1, None) as connect:
        client = connect()
        assert client.submit(sum, [1, 2]).result(timeout=60) == 3
        me = psutil.Process()
        processes = [me, *me.children(recursive=True)]
        found = [one.laddr.ip for each in processes for one in each.net_connections() if one.status == "LISTEN"]
        client.close()
    print(len(found), *sorted(set(found)))
"""

TLS = """
import sys
import dask
from distributed import LocalCluster
from distributed.security import Security
from ag_scorers.cluster.clients import open_cluster

if __name__ == "__main__":
    key, certificate = sys.argv[1:]
    names = {"distributed.comm.tls.ca-file": certificate, "distributed.comm.require-encryption": True}
    for role in ("scheduler", "worker", "client"):
        names |= {f"distributed.comm.tls.{role}.key": key, f"distributed.comm.tls.{role}.cert": certificate}
    with dask.config.set(names):
        options = {"protocol": "tls", "security": Security(), "dashboard_address": None}
        with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, **options) as cluster:
            with open_cluster(cluster.scheduler_address, None, None) as connect:
                client = connect()
                print(cluster.scheduler_address.split(":")[0], client.submit(sum, [1, 2]).result(timeout=60))
                client.close()
"""


def run(tmp_path, text, *arguments):
    (tmp_path / "script.py").write_text(text)
    done = subprocess.run([sys.executable, "script.py", *arguments], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.split()


def test_a_local_cluster_is_for_this_machine_only(tmp_path):
    number, *addresses = run(tmp_path, LOCAL)
    assert int(number) >= 2
    assert addresses == ["127.0.0.1"]


@pytest.mark.slow
def test_tls_is_what_dask_is_told(tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("makes its certificate with openssl")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost"
    subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
    assert run(tmp_path, TLS, str(tmp_path / "key.pem"), str(tmp_path / "cert.pem")) == ["tls", "3"]
