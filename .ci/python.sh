#!/usr/bin/env bash
# Makes sure that tests which start Python find the packages of `.ci/python.txt`, in the private environment `.venv`.
# Nothing outside of it changes. On CI packages that cannot be had are an error.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
wanted=.ci/python.txt
# A copy of the list that was installed: the same list is not installed again.
done=.venv/installed.txt

cmp -s "$wanted" "$done" && .venv/bin/python -c '' 2>/dev/null && exit 0

log="$(mktemp)"
trap 'rm -f "$log"' EXIT
install() {
	rm -f "$done"
	"${PYTHON:-python3}" -m venv --clear .venv &&
		.venv/bin/python -m pip install --disable-pip-version-check --quiet --only-binary :all: --no-deps -r "$wanted" &&
		.venv/bin/python -m pip check --disable-pip-version-check &&
		cp "$wanted" "$done"
}

echo "installing the packages of $wanted into .venv"
install >"$log" 2>&1 && exit 0

tail -n 5 "$log" >&2
echo "python: the packages of $wanted could not be installed" >&2
echo "hint: see above; on Debian and Ubuntu \`apt-get install python3-venv\` brings what makes environments" >&2
[ "${CI:-}" = true ] && exit 1
echo "The tests that need Python packages will be skipped." >&2
