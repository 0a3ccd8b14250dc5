# Tests of the source and of the objects themselves, and of the tools that the other tests rely on.

function(quire_structure_test name)
	if(Python3_FOUND)
		add_test(NAME structure.${name}
			COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tests/structure/${name}.py ${ARGN}
			COMMAND_EXPAND_LISTS)
		quire_test_properties(structure.${name})
	endif()
endfunction()

# They say the same in every preset: once is enough. And sanitizers' own symbols are none of ours.
if(NOT QUIRE_SANITIZE AND NOT QUIRE_COVERAGE)
	quire_structure_test(symbols ${QUIRE_OBJECT})
	quire_structure_test(layers $<TARGET_OBJECTS:quire_core>)
	quire_structure_test(includes)
	quire_structure_test(freestanding)
	quire_structure_test(warnings)
	quire_structure_test(habits)
	quire_structure_test(documents)
	quire_structure_test(zoo)
	if(Python3_FOUND)
		add_test(NAME planted.patches_apply COMMAND ${Python3_EXECUTABLE}
			${PROJECT_SOURCE_DIR}/tests/planted/planted.py --check ${PROJECT_SOURCE_DIR})
		quire_test_properties(planted.patches_apply)
		add_test(NAME mutation.patches_apply COMMAND ${Python3_EXECUTABLE}
			${PROJECT_SOURCE_DIR}/tests/mutation/mutation.py --check ${PROJECT_SOURCE_DIR})
		quire_test_properties(mutation.patches_apply)
	endif()
	add_test(NAME structure.install COMMAND sh ${PROJECT_SOURCE_DIR}/tests/structure/install.sh
		${CMAKE_COMMAND} ${PROJECT_BINARY_DIR} ${PROJECT_SOURCE_DIR})
	quire_test_properties(structure.install)
	add_test(NAME structure.geometry COMMAND sh ${PROJECT_SOURCE_DIR}/tests/structure/geometry.sh
		${CMAKE_COMMAND} ${PROJECT_BINARY_DIR} ${PROJECT_SOURCE_DIR} ${CMAKE_C_COMPILER})
	quire_test_properties(structure.geometry)
endif()

if(QUIRE_SANITIZE STREQUAL "thread")
	quire_test_executable(race_control ${PROJECT_SOURCE_DIR}/tests/structure/race_control.c)
	add_test(NAME structure.race_control
		COMMAND sh ${PROJECT_SOURCE_DIR}/tests/structure/race_control.sh $<TARGET_FILE:race_control>)
	quire_test_properties(structure.race_control)
endif()

# The example: built against the library as a user has it, and run.
add_executable(hello_mm ${PROJECT_SOURCE_DIR}/examples/hello_mm.c ${PROJECT_SOURCE_DIR}/examples/hello_port.c)
target_link_libraries(hello_mm PRIVATE quire_flags_host quire)
add_test(NAME example.hello_mm COMMAND hello_mm)
quire_test_properties(example.hello_mm)
