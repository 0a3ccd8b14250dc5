#!/bin/sh
# format.sh [--check] - lay out every C file by .clang-format, or only say which ones differ (exit 1).
cd "$(dirname "$0")/.." || exit 1
files=$(find core include machines lab tests examples bench -name '*.[ch]')
case ${1:-} in
--check) exec clang-format --dry-run --Werror $files ;;
"") exec clang-format -i $files ;;
*) echo "usage: format.sh [--check]" >&2; exit 2 ;;
esac
