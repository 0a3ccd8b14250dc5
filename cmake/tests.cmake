# Every test of the project, for ctest. A test that cannot run on this computer exits with 77: skipped.

pkg_check_modules(cmocka REQUIRED IMPORTED_TARGET cmocka)
find_package(Python3 COMPONENTS Interpreter)

set(QUIRE_TEST_ENVIRONMENT
	"QUIRE_SOURCE=${PROJECT_SOURCE_DIR}"
	"QUIRE_BUILD=${PROJECT_BINARY_DIR}"
	"QUIRE_SANITIZE=${QUIRE_SANITIZE}"
	"CC=${CMAKE_C_COMPILER}"
	"ASAN_OPTIONS=detect_stack_use_after_return=1"
	"UBSAN_OPTIONS=print_stacktrace=1"
	"TSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/tsan.supp:halt_on_error=1:second_deadlock_stack=1")

function(quire_test_properties name)
	set_tests_properties(${name} PROPERTIES ENVIRONMENT "${QUIRE_TEST_ENVIRONMENT}" SKIP_RETURN_CODE 77
		TIMEOUT 900)
endfunction()

# An executable of @sources that sees the core's internals and the machine.
function(quire_test_executable name)
	add_executable(${name} ${ARGN})
	target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/tests/support)
	set(libraries quire_hosted quire_core)
	if(TARGET quire_lab)
		list(PREPEND libraries quire_lab)
	endif()
	if(TARGET quire_support)
		list(PREPEND libraries quire_support)
	endif()
	target_link_libraries(${name} PRIVATE quire_flags_host -Wl,--start-group ${libraries} -Wl,--end-group
		PkgConfig::cmocka m)
endfunction()

# What tests share.
file(GLOB support CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/support/*.c)
list(FILTER support EXCLUDE REGEX "/solo_[^/]*$")
if(support)
	add_library(quire_support STATIC ${support})
	target_include_directories(quire_support PUBLIC ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/tests/support)
	target_link_libraries(quire_support PRIVATE quire_flags_host PkgConfig::cmocka PUBLIC quire_hosted)
endif()

# Unit tests.
file(GLOB units CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/unit/test_*.c)
foreach(source ${units})
	get_filename_component(name ${source} NAME_WE)
	quire_test_executable(${name} ${source})
	add_test(NAME unit.${name} COMMAND ${name})
	quire_test_properties(unit.${name})
endforeach()

file(GLOB units CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/unit/solo_*.c)
file(GLOB support CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/support/solo_*.c)
foreach(source ${units})
	get_filename_component(name ${source} NAME_WE)
	add_executable(${name} ${source} ${support})
	target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/tests/support)
	target_link_libraries(${name} PRIVATE quire_flags_host quire_core PkgConfig::cmocka Threads::Threads)
	add_test(NAME unit.${name} COMMAND ${name})
	quire_test_properties(unit.${name})
endforeach()

# Fuzz targets: tests/fuzz/X.c with its corpus in tests/fuzz/corpus/X.
file(GLOB targets CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/fuzz/*.c)
list(FILTER targets EXCLUDE REGEX "/replay_corpus.c$")
foreach(source ${targets})
	get_filename_component(name ${source} NAME_WE)
	if(QUIRE_SANITIZE STREQUAL "fuzz")
		quire_test_executable(fuzz_${name} ${source})
		target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
		# libFuzzer exits with 77 for a finding, which means skipped here.
		set(arguments -runs=20000 -max_total_time=30 -error_exitcode=1 -artifact_prefix=${PROJECT_BINARY_DIR}/)
	else()
		quire_test_executable(fuzz_${name} ${source} ${PROJECT_SOURCE_DIR}/tests/support/replay/replay_corpus.c)
		set(arguments)
	endif()
	set(corpus ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name})
	add_test(NAME fuzz.${name} COMMAND ${PROJECT_SOURCE_DIR}/scripts/fuzz-target.sh $<TARGET_FILE:fuzz_${name}>
		${corpus} ${arguments})
	quire_test_properties(fuzz.${name})
endforeach()

# The command.
file(GLOB scripts CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/cli/*.sh)
if(TARGET quire_command)
	foreach(script ${scripts})
		get_filename_component(name ${script} NAME_WE)
		add_test(NAME cli.${name} COMMAND sh ${script} $<TARGET_FILE:quire_command>)
		quire_test_properties(cli.${name})
	endforeach()
endif()

if(TARGET quire_engine)
	include(cmake/check-tests.cmake)
endif()

include(cmake/structure.cmake)

# The longest ones begin first, so that none of them runs alone at the end; ctest knows by itself only from the
# second run on.
foreach(name cli.boot-tests cli.boot check.check_models check.check_machine_programs check.again cli.checkpoint
	cli.fuzz-check cli.orders structure.geometry unit.test_stress)
	if(TEST ${name})
		set_tests_properties(${name} PROPERTIES COST 100)
	endif()
endforeach()
