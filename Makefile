# The everyday commands. All the work is in CMakeLists.txt and scripts/.

.PHONY: all run test soak deps format format-check clean

all: ; @scripts/deps.sh build && scripts/build.sh release
run: ; @scripts/deps.sh build && scripts/build.sh release quire_command && scripts/run.sh
test: ; @scripts/deps.sh test && scripts/test.sh
soak: ; @scripts/deps.sh test && scripts/soak.sh
deps: ; @scripts/deps.sh all
format: ; @scripts/format.sh
format-check: ; @scripts/format.sh --check
clean: ; rm -rf build
