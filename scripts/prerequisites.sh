#!/bin/sh
# What a machine must have before anything else: Python 3.11 to 3.13 with venv, and Java 17 or 21.
#
#     scripts/prerequisites.sh [PYTHON]
#
# Prints the Python to use and exits 0. Or says what is missing, one line each with the command that installs it, and
# exits 1. PYTHON names the only one to try; without it, or with plain `python3`, newer names are tried as well.
# JAVA_HOME counts as it does for Spark. Only the shell itself is used, so that nothing else can be missing.

python_install='Debian: sudo apt-get install python3 python3-venv | macOS: brew install python@3.13 | Red Hat: sudo dnf install python3.12'
java_install='Debian: sudo apt-get install default-jre-headless | macOS: brew install openjdk@17 | Red Hat: sudo dnf install java-21-openjdk-headless'

# Sets `python` to the first candidate that will do, or `python_found` to what the first of them is instead.
find_python() {
    python='' python_found=''
    for candidate in "$@"; do
        if ! version=$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null); then
            found="no $candidate found"
        else
            case $version in
            3.11 | 3.12 | 3.13)
                if "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
                    python=$candidate
                    return 0
                fi
                found="$candidate $version has no venv module"
                ;;
            *) found="$candidate is $version" ;;
            esac
        fi
        python_found=${python_found:-$found}
    done
    return 1
}

# Sets `java_found` to what is wrong with the Java that Spark would start.
find_java() {
    if [ -n "${JAVA_HOME:-}" ]; then
        java=$JAVA_HOME/bin/java
        name="JAVA_HOME=$JAVA_HOME"
    else
        java=java
        name=java
    fi
    if ! command -v "$java" >/dev/null 2>&1; then
        java_found="no $java found"
        return 1
    fi
    # macOS has a `java` that only says where to get one, and exits non-zero.
    if ! answer=$("$java" -version 2>&1); then
        java_found="$name does not start"
        return 1
    fi
    version=${answer#* version \"}
    version=${version%%\"*}
    case $version in
    17 | 21 | 17[.+-]* | 21[.+-]*) return 0 ;;
    1.*) version=${version#1.} ;;
    esac
    java_found="$name is ${version%%[!0-9]*}"
    return 1
}

status=0
if [ "${1:-python3}" = python3 ]; then
    set -- python3 python3.13 python3.12 python3.11
fi
if ! find_python "$@"; then
    echo "Python 3.11, 3.12 or 3.13 is missing ($python_found). $python_install" >&2
    status=1
fi
if ! find_java; then
    echo "Java 17 or 21 is missing ($java_found). $java_install" >&2
    echo "  If it is installed: export JAVA_HOME=<its directory>; on macOS: export JAVA_HOME=\$(brew --prefix openjdk@17)" >&2
    status=1
fi
[ $status -ne 0 ] || echo "$python"
exit $status
