"""The jars of any Apache ZooKeeper release, from Maven Central once and then from the cache."""

import shutil
import subprocess

from cache import CACHE, locked, maven
from servers import CannotRun

# What 3.3's logging library names and Maven Central has never had is left out; nobody misses it.
POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>oxkeeper.interop</groupId><artifactId>release</artifactId><version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.zookeeper</groupId><artifactId>zookeeper</artifactId>
      <version>{version}</version>
      <exclusions>
        <exclusion><groupId>com.sun.jdmk</groupId><artifactId>jmxtools</artifactId></exclusion>
        <exclusion><groupId>com.sun.jmx</groupId><artifactId>jmxri</artifactId></exclusion>
        <exclusion><groupId>javax.jms</groupId><artifactId>jms</artifactId></exclusion>
      </exclusions></dependency>
    <dependency><groupId>io.dropwizard.metrics</groupId><artifactId>metrics-core</artifactId>
      <version>4.1.12.1</version></dependency>
    <dependency><groupId>org.xerial.snappy</groupId><artifactId>snappy-java</artifactId>
      <version>1.1.10.5</version></dependency>
  </dependencies>
</project>
"""


def release_jars(version):
    """The folder with the release's jars, fetched from Maven Central the first time."""
    jars = CACHE / "olddirs" / version
    jars.mkdir(parents=True, exist_ok=True)
    # Suites may run side by side; one of them fetches.
    with locked(f"olddirs/{version}"):
        if not (jars / "complete").exists():
            fetch(version, jars)
    return jars


def fetch(version, jars):
    """Copies the jars of the release and what its server needs beside them into `jars`."""
    if shutil.which("mvn") is None:
        raise CannotRun("mvn (Maven) is not installed; Apache ZooKeeper cannot be fetched")
    pom = jars / "pom.xml"
    pom.write_text(POM.format(version=version), encoding="ascii")
    done = maven(
        "-f", str(pom), "dependency:copy-dependencies", "-DincludeScope=runtime",
        f"-DoutputDirectory={jars}", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    if done.returncode != 0:
        tail = done.stdout.decode(errors="replace").strip().splitlines()[-1:]
        raise CannotRun(f"Maven could not fetch ZooKeeper {version}: {' '.join(tail)}")
    (jars / "complete").touch()
