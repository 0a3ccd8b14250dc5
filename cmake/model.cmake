# The model machine: the core once more, optimised as it is for use, its accesses announced by the compiler
# (-fsanitize=thread), linked not to libtsan but to machines/model/: the executable quire-model, which `quire bench
# scale` runs. As for the check machine, but without checks: see cmake/check.cmake.

file(GLOB QUIRE_MODEL_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/machines/model/*.c
	${PROJECT_SOURCE_DIR}/machines/coroutine/*.c ${PROJECT_SOURCE_DIR}/machines/coroutine/*.S
	${PROJECT_SOURCE_DIR}/lab/bench/worker/*.c ${PROJECT_SOURCE_DIR}/lab/source.c)

add_library(quire_core_model OBJECT ${QUIRE_CORE_SOURCES})
target_include_directories(quire_core_model PRIVATE ${PROJECT_SOURCE_DIR}/include)
target_compile_options(quire_core_model PRIVATE -Wall -Wextra -std=c11 -O2 -g -ffreestanding -fsanitize=thread -fno-pie
	$<$<C_COMPILER_ID:GNU>:-Wno-tsan> $<$<C_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
target_compile_definitions(quire_core_model PRIVATE QUIRE_PORT_OWN_SPIN)
set(core ${PROJECT_BINARY_DIR}/quire_core_model.o)
quire_redirect(quire_core_model ${core})

add_executable(quire-model ${QUIRE_MODEL_SOURCES} ${core})
target_include_directories(quire-model PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR})
target_compile_definitions(quire-model PRIVATE QUIRE_PORT_OWN_FENCE QUIRE_PORT_OWN_SPIN)
target_link_libraries(quire-model PRIVATE quire_flags_host PkgConfig::jansson -no-pie)
target_compile_options(quire-model PRIVATE -O2 -g -fno-pie)
