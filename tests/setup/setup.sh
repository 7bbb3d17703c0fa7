# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What ./check and ./demo share: install what is missing, unpack the servers
# under test, build. Sourced with $top set; each function returns non-zero
# after it has said why. What they do goes to a log in build/, whose end is
# shown when something fails.

export LC_ALL=C
unset CDPATH NGINX
peers=${top:?}/build/peers
setup_log=$top/build/${0##*/}.log

# The packages of the given kinds (build, check, peer), see the file.
setup_list() {
	local kind
	for kind; do
		sed -n "s/^$kind //p" "$top/tests/setup/packages"
	done
}

# Runs a command into the log; on failure shows the log's end.
setup_logged() {
	if ! "$@" >>"$setup_log" 2>&1 </dev/null; then
		echo "failed: $*" >&2
		echo "--- the last lines of $setup_log" >&2
		tail -n 25 "$setup_log" >&2
		return 1
	fi
}

# One build at a time in this tree, whoever runs it.
setup_locked() {
	(
		flock -n 9 || {
			echo "Waiting for another build in $top" >&2
			flock 9 || exit 1
		}
		"$@" 9>&-
	) 9>"$top/build/.lock"
}

# setup_run COMMAND... waits for it in a way that Ctrl-C and kill end all of
# it: it has a process group of its own.
setup_run() {
	set -m
	"$@" </dev/null &
	setup_pid=$!
	set +m
	wait "$setup_pid"
	set -- $?
	setup_pid=''
	return "$1"
}

setup_interrupted() {
	trap '' INT TERM HUP
	if [ -n "$setup_pid" ]; then
		kill -- -"$setup_pid" 2>/dev/null
		wait "$setup_pid" 2>/dev/null
	fi
	echo "interrupted" >&2
	exit "$1"
}

setup_pid=''
trap 'setup_interrupted 130' INT
trap 'setup_interrupted 143' TERM HUP
mkdir -p "$top/build" || exit
: >"$setup_log"

setup_missing() {
	local have
	have=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' 2>/dev/null |
		sed -n 's/^installed //p')
	comm -23 <(setup_list "$@" | sort -u) <(sort -u <<<"$have")
}

# apt-get as root, with the umask that packages expect. Waits for the lock.
setup_apt() {
	local run=(env DEBIAN_FRONTEND=noninteractive sh -c
		'umask 022; exec apt-get "$@"' apt-get
		-o DPkg::Lock::Timeout=600 "$@")

	[ "$(id -u)" -eq 0 ] || run=(sudo -n "${run[@]}")
	"${run[@]}" >>"$setup_log" 2>&1 </dev/null
}

# A password is asked for only where somebody can type it.
setup_may_install() {
	[ "$(id -u)" -eq 0 ] && return
	command -v sudo >/dev/null || return
	sudo -n true 2>/dev/null || { [ -t 0 ] && sudo -v; }
}

# setup_packages KIND... installs what is missing; exit code 2 when it cannot.
setup_packages() {
	local missing
	mapfile -t missing < <(setup_missing "$@")
	[ ${#missing[@]} -gt 0 ] || return 0
	if ! setup_may_install; then
		echo "Packages are missing, please run: sudo apt-get install" \
			"--no-install-recommends ${missing[*]}" >&2
		return 2
	fi
	echo "Installing ${missing[*]}"
	local install=(install -y --no-install-recommends "${missing[@]}")
	setup_apt "${install[@]}" && return
	setup_apt update || echo "apt-get update failed" >>"$setup_log"
	setup_logged setup_apt "${install[@]}" || return 2
}

# apt-get download into the current folder; the second attempt fetches the
# package lists into a state of our own, for a machine that has none.
setup_download() {
	local own=$peers/apt
	local options=(-o APT::Sandbox::User="$(id -un)" -o Debug::NoLocking=1)

	apt-get "${options[@]}" download "$@" && return
	mkdir -p "$own/lists/partial" "$own/cache/archives/partial"
	options+=(-o Dir::State="$own" -o Dir::State::lists="$own/lists"
		-o Dir::State::status=/dev/null -o Dir::Cache="$own/cache")
	apt-get "${options[@]}" update || echo "apt-get update failed"
	apt-get "${options[@]}" download "$@"
}

# The version that a download would fetch; nothing when apt does not know.
setup_candidate() {
	apt-cache show --no-all-versions "$1" 2>/dev/null |
		sed -n 's/^Version: //p' | head -n 1
}

# Is PACKAGE unpacked, in the version that apt offers where it offers one?
setup_unpacked() {
	local version
	version=$(setup_candidate "$1")
	[ -d "$peers/$1/current/usr" ] || return
	[ -z "$version" ] || [ -d "$peers/$1/${version//:/%3a}" ]
}

# build/peers/PACKAGE/VERSION/ holds the package's files, and the link
# build/peers/PACKAGE/current names the version in use.
setup_unpack() {
	local deb name version folder
	deb=$1
	name=$(dpkg-deb -f "$deb" Package) || return
	version=$(dpkg-deb -f "$deb" Version) || return
	version=${version//:/%3a}
	folder=$peers/$name/$version
	if [ ! -d "$folder" ]; then
		rm -rf "$folder.new"
		mkdir -p "$folder.new"
		dpkg-deb -x "$deb" "$folder.new" || return
		mv "$folder.new" "$folder"
	fi
	ln -sfn "$version" "$peers/$name/next"
	mv -fT "$peers/$name/next" "$peers/$name/current"
}

setup_peers() {
	local deb package missing=()
	for package in $(setup_list peer); do
		setup_unpacked "$package" || missing+=("$package")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	rm -rf "$peers/download"
	mkdir -p "$peers/download"
	# All of them, so that nginx and its headers are of one version.
	mapfile -t missing < <(setup_list peer)
	if (cd "$peers/download" &&
		setup_download "${missing[@]}" >>"$setup_log" 2>&1); then
		for deb in "$peers"/download/*.deb; do
			setup_logged setup_unpack "$deb" || return
		done
		rm -rf "$peers/download"
		return
	fi
	# Offline: an older version that is already here will do.
	for package in "${missing[@]}"; do
		[ -d "$peers/$package/current/usr" ] || {
			echo "cannot download $package:" >&2
			tail -n 10 "$setup_log" >&2
			return 1
		}
	done
}

# setup_build PRESET [cmake option...] configures and builds build/PRESET.
setup_build() {
	local preset=$1 jobs
	shift
	jobs=$(nproc)
	(
		cd "$top" || exit
		setup_logged cmake --preset "$preset" \
			-DACME_NGINX_SRC="$peers/nginx-dev/current/usr/share/nginx/src" \
			"$@" &&
			setup_logged cmake --build "build/$preset" -j "$jobs"
	)
}
