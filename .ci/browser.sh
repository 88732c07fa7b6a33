#!/usr/bin/env bash
# Makes sure that the tests of HTML pages find a browser: one that is named, one on the PATH, the system's package, or
# the one that an npm package carries. The last is noted in <target>/browser/path. On CI a missing browser is an error.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder="${CARGO_TARGET_DIR:-target}/browser"
# Pinned: 153 is the newest whose package holds the program itself.
carrier="@sparticuz/chromium@153.0.0"

works() { [ -n "$1" ] && "$1" --version >/dev/null 2>&1; }

there() {
	if [ -n "${CHROME:-}" ]; then
		works "$CHROME" && return 0
		echo "browser: CHROME=$CHROME does not run" >&2
		echo "hint: name a Chromium or Chrome, or unset CHROME" >&2
		exit 1
	fi
	for name in chromium chromium-browser google-chrome google-chrome-stable chrome chrome-headless-shell; do
		command -v "$name" >/dev/null 2>&1 && works "$name" && return 0
	done
	[ -f "$folder/path" ] && works "$(cat "$folder/path")"
}

from_system() {
	[ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1 || return 1
	echo "installing chromium from the system's packages"
	export DEBIAN_FRONTEND=noninteractive
	{ apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core; } >/dev/null 2>&1
}

from_npm() {
	command -v npm >/dev/null 2>&1 || return 1
	echo "installing a browser from the npm package $carrier"
	mkdir -p "$folder"
	npm install --silent --no-audit --no-fund --no-save --prefix "$folder" "$carrier" >/dev/null 2>&1 || return 1
	# The package unpacks its program into the temporary folder; ours is kept. Its libraries are for systems that have
	# none of their own.
	(cd "$folder" && TMPDIR="$PWD" node --input-type=module -e '
		import chromium from "@sparticuz/chromium";
		import { readFileSync, writeFileSync } from "node:fs";
		import { brotliDecompressSync } from "node:zlib";
		writeFileSync("path", await chromium.executablePath());
		writeFileSync("lib.tar", brotliDecompressSync(readFileSync("node_modules/@sparticuz/chromium/bin/al2023.tar.br")));
	') >/dev/null 2>&1 || return 1
	works "$(cat "$folder/path")" && return 0
	(
		cd "$folder" && tar xf lib.tar
		printf '#!/bin/sh\nLD_LIBRARY_PATH="%s/lib" exec "%s" "$@"\n' "$PWD" "$(cat path)" >with-libraries
		chmod +x with-libraries
		echo "$PWD/with-libraries" >path
	)
}

there && exit 0
from_system && there && exit 0
from_npm && there && exit 0

echo "browser: none found, and none could be installed" >&2
echo "hint: install Chromium (Debian and Ubuntu: apt-get install chromium), or name one: CHROME=/path/to/chromium" >&2
[ "${CI:-}" = true ] && exit 1
echo "The tests that open pages in a browser will be skipped." >&2
