#!/bin/sh
# install.sh CMAKE BUILD SOURCE - a consumer's view: install, then build the example with find_package(), with
# pkg-config, and with add_subdirectory(), and run each.
set -eu
cmake=$1
build=$2
source=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$cmake" --install "$build" --prefix "$work/usr" >/dev/null
mkdir "$work/project"
cp "$source"/examples/hello_* "$work/project"

try()
{
	"$cmake" -S "$work/project" -B "$work/$1" -DCMAKE_PREFIX_PATH="$work/usr" >"$work/log" 2>&1 &&
		"$cmake" --build "$work/$1" >>"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
	"$work/$1/hello" >/dev/null
	echo "$1: built and run"
}

cat >"$work/project/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.22)
project(hello C)
find_package(quire 0.1 REQUIRED)
add_executable(hello hello_mm.c hello_port.c)
target_link_libraries(hello PRIVATE quire::quire)
END
try find_package

cat >"$work/project/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.22)
project(hello C)
add_subdirectory("$source" quire)
add_executable(hello hello_mm.c hello_port.c)
target_link_libraries(hello PRIVATE quire::quire)
END
try add_subdirectory

PKG_CONFIG_PATH=$(dirname "$(find "$work/usr" -name quire.pc)")
export PKG_CONFIG_PATH
flags=$(pkg-config --cflags --libs quire)
${CC:-cc} -o "$work/hello" "$work/project/hello_mm.c" "$work/project/hello_port.c" $flags
"$work/hello" >/dev/null
echo "pkg-config: built and run"
