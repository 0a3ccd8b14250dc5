# Tests of the search and of the memory models. In tests/check, *_threads.c is what threads under check do, and is
# instrumented; everything else is ordinary code. Each test is built with the threads as the workers are, and once
# more without optimisation: what compilers merge, and what they leave, differs.

set(directory ${PROJECT_SOURCE_DIR}/tests/check)
file(GLOB support CONFIGURE_DEPENDS ${directory}/*.c)
list(FILTER support EXCLUDE REGEX "/test_[^/]*\\.c$|_threads\\.c$")
add_library(quire_check_support STATIC ${support})
target_include_directories(quire_check_support PUBLIC ${directory})
target_link_libraries(quire_check_support PRIVATE quire_flags_host PUBLIC quire_engine PkgConfig::cmocka)

# quire_check_test(name level source...): `level` is the optimisation of the sources that are *_threads.c.
function(quire_check_test name level)
	set(threads ${ARGN})
	set(others ${ARGN})
	list(FILTER threads INCLUDE REGEX "_threads\\.c$")
	list(FILTER others EXCLUDE REGEX "_threads\\.c$")
	add_library(${name}_threads OBJECT ${threads})
	target_include_directories(${name}_threads PRIVATE ${PROJECT_SOURCE_DIR})
	target_link_libraries(${name}_threads PRIVATE quire_flags_host quire_instrumented)
	target_compile_options(${name}_threads PRIVATE ${level})
	quire_redirect(${name}_threads ${PROJECT_BINARY_DIR}/${name}_threads.o)
	add_executable(${name} ${others} ${PROJECT_BINARY_DIR}/${name}_threads.o)
	target_link_libraries(${name} PRIVATE quire_flags_host -Wl,--start-group quire_check_support quire_engine
		-Wl,--end-group PkgConfig::cmocka)
	add_test(NAME check.${name} COMMAND ${name})
	quire_test_properties(check.${name})
endfunction()

file(GLOB tests CONFIGURE_DEPENDS ${directory}/test_*.c)
foreach(source ${tests})
	get_filename_component(name ${source} NAME_WE)
	string(REGEX REPLACE "^test_" "check_" name ${name})
	string(REGEX REPLACE "^.*/test_([^/]*)\\.c$" "${directory}/\\1_threads.c" own ${source})
	set(threads ${directory}/little_threads.c)
	if(EXISTS ${own} AND NOT own STREQUAL threads)
		list(APPEND threads ${own})
	endif()
	quire_check_test(${name} -O1 ${source} ${threads})
	# The random programs' threads are those of the classical ones, and many.
	if(NOT name STREQUAL check_models)
		quire_check_test(${name}_unoptimised -O0 ${source} ${threads})
	endif()
endforeach()

# Tests of the check machine, in miniature: tests/check/machine/test_X.c, whose columns are in X_threads.c, and what
# else there is to it in X.c.
file(GLOB tests CONFIGURE_DEPENDS ${directory}/machine/test_*.c)
foreach(source ${tests})
	string(REGEX REPLACE "^.*/test_([^/]*)\\.c$" "\\1" base ${source})
	set(name check_machine_${base})
	set(definitions QUIRE_GEOMETRY=1 QUIRE_DEBUG QUIRE_CHECKED QUIRE_PORT_OWN_FENCE QUIRE_PORT_OWN_SPIN)
	add_library(${name}_threads OBJECT ${directory}/machine/${base}_threads.c)
	target_include_directories(${name}_threads PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR})
	target_link_libraries(${name}_threads PRIVATE quire_flags_host quire_instrumented)
	target_compile_definitions(${name}_threads PRIVATE ${definitions})
	quire_redirect(${name}_threads ${PROJECT_BINARY_DIR}/${name}_threads.o)
	file(GLOB own CONFIGURE_DEPENDS ${directory}/machine/${base}.c)
	add_executable(${name} ${source} ${own} ${directory}/machine/scene.c
		${PROJECT_BINARY_DIR}/${name}_threads.o ${PROJECT_BINARY_DIR}/quire_core_mini.o
		$<TARGET_OBJECTS:quire_checker_mini>)
	target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR})
	target_compile_definitions(${name} PRIVATE ${definitions})
	target_link_libraries(${name} PRIVATE quire_flags_host quire_engine PkgConfig::cmocka)
	# Who makes the core's one object.
	add_dependencies(${name} quire-check-mini)
	add_test(NAME check.${name} COMMAND ${name})
	quire_test_properties(check.${name})
endforeach()

# What is brought back is what would be run again.
if(Python3_FOUND AND TARGET quire_command)
	add_test(NAME check.again COMMAND ${Python3_EXECUTABLE} ${directory}/again.py $<TARGET_FILE:quire_command>
		${PROJECT_SOURCE_DIR}/litmus)
	quire_test_properties(check.again)
endif()

# Every race, for 10 seconds at most; and with each safeguard that its file names switched off. It uses all processors itself.
if(TARGET quire_command)
	# Five files do not come to an end in that: scripts/soak.sh gives them what they ask for.
	add_test(NAME litmus.all COMMAND quire_command check --zoo --seconds 10 ${PROJECT_SOURCE_DIR}/litmus)
	quire_test_properties(litmus.all)
	set_tests_properties(litmus.all PROPERTIES RUN_SERIAL ON)
endif()
