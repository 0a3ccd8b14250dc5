#!/bin/sh
# deps.sh build|test|all - is everything here that is needed? Says what is missing, and installs it when it may
# (Debian and its relatives, as root or with sudo); otherwise prints the command that would. Exit 3: still missing.
set -eu
what=${1:-build}
missing=

# need PACKAGE command|library|header NAME
need()
{
	case $2 in
	command) command -v "$3" >/dev/null 2>&1 && return ;;
	header) echo "#include <$3>" | cc -E - >/dev/null 2>&1 && return ;;
	library) command -v pkg-config >/dev/null 2>&1 && pkg-config --exists "$3" 2>/dev/null && return ;;
	esac
	missing="$missing $1"
}

check()
{
	missing=
	need gcc command cc
	[ -e /usr/include/stdlib.h ] || missing="$missing libc6-dev"
	need binutils command objcopy
	need make command make
	need cmake command cmake
	need pkg-config command pkg-config
	need liburcu-dev library liburcu-memb
	need libjansson-dev library jansson
	need libcmocka-dev library cmocka
	need libzydis-dev header Zydis/Zydis.h
	need libdw-dev library libdw
	case $what in
	test | all)
		need clang command clang
		need python3 command python3
		need qemu-system-x86 command qemu-system-x86_64
		need busybox-static command busybox
		;;
	esac
	if [ "$what" = all ]; then
		need clang-format command clang-format
		need valgrind command valgrind
	fi
}

check
[ -n "$missing" ] || exit 0
echo "missing packages:$missing"

if [ "$(id -u)" = 0 ]; then
	as_root=
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
	as_root="sudo "
elif command -v sudo >/dev/null 2>&1 && [ -t 0 ]; then
	as_root="sudo "
else
	as_root=none
fi
if [ "$as_root" = none ] || ! command -v apt-get >/dev/null 2>&1; then
	echo "install them with:  apt-get install$missing" >&2
	exit 3
fi

export DEBIAN_FRONTEND=noninteractive
# A fresh machine or container has no package lists at all.
if ! ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1; then
	echo "${as_root}apt-get update"
	${as_root}apt-get update -qq || true
fi
echo "${as_root}apt-get install$missing"
install()
{
	${as_root}apt-get install -y -qq --no-install-recommends $missing >/dev/null
}
# Lists that are there may be too old to fetch from: once more with fresh ones.
install || { ${as_root}apt-get update -qq && install; } || true

check
if [ -n "$missing" ]; then
	echo "still missing:$missing" >&2
	echo "install them with:  ${as_root}apt-get update && ${as_root}apt-get install$missing" >&2
	exit 3
fi
