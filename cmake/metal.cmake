# The metal machine: the core's sources once more, compiled as a kernel wants them, and machines/metal around them; one
# ELF file, build/quire-kernel, which `quire boot` hands to QEMU.

enable_language(ASM)
file(GLOB QUIRE_METAL_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/machines/metal/*.c
	${PROJECT_SOURCE_DIR}/machines/metal/*.S)
set(metal ${PROJECT_SOURCE_DIR}/machines/metal)

# No vector registers, which are the program's; no red zone, which an interrupt would write over; the top 2 GiB.
add_library(quire_flags_metal INTERFACE)
target_compile_options(quire_flags_metal INTERFACE -Wall -Wextra -Wvla -fno-common -ffreestanding -O2 -g -fno-pic
	-fno-pie -mno-red-zone -mcmodel=kernel -mgeneral-regs-only -fno-stack-protector -fno-asynchronous-unwind-tables
	-fcf-protection=none -fno-strict-aliasing -fno-omit-frame-pointer)
if(QUIRE_WERROR)
	target_compile_options(quire_flags_metal INTERFACE -Werror)
endif()
target_compile_definitions(quire_flags_metal INTERFACE QUIRE_PORT_OWN_SPIN)
if(QUIRE_DEBUG)
	target_compile_definitions(quire_flags_metal INTERFACE QUIRE_DEBUG)
endif()
target_include_directories(quire_flags_metal INTERFACE ${PROJECT_SOURCE_DIR}/include)

add_library(quire_core_metal OBJECT ${QUIRE_CORE_SOURCES})
target_compile_options(quire_core_metal PRIVATE -std=c11)
target_link_libraries(quire_core_metal PRIVATE quire_flags_metal)

# The core in one piece: small functions of one file are put into the others that call them (gcc; a tenth to a quarter of
# all instructions). As in the library, of the core only quire_* is to be seen.
set(core ${PROJECT_BINARY_DIR}/quire_core_metal.o)
set(link_core ${CMAKE_LINKER} -r)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
	target_compile_options(quire_core_metal PRIVATE -flto)
	set(link_core ${CMAKE_C_COMPILER} -r -nostdlib -flto=auto -flinker-output=nolto-rel)
endif()
add_custom_command(
	OUTPUT ${core}
	COMMAND ${link_core} -o ${core} $<TARGET_OBJECTS:quire_core_metal>
	COMMAND ${CMAKE_OBJCOPY} --wildcard --keep-global-symbol=quire_* ${core}
	DEPENDS quire_core_metal $<TARGET_OBJECTS:quire_core_metal>
	COMMENT "Linking the core into one object for the metal machine"
	COMMAND_EXPAND_LISTS VERBATIM)
set_source_files_properties(${core} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)

set(script ${PROJECT_BINARY_DIR}/kernel.lds)
add_custom_command(
	OUTPUT ${script}
	COMMAND ${CMAKE_C_COMPILER} -E -P -x c -I ${metal} -o ${script} ${metal}/kernel.lds
	DEPENDS ${metal}/kernel.lds ${metal}/layout.h
	COMMENT "Preprocessing the kernel's linker script"
	VERBATIM)
add_custom_target(quire_kernel_script DEPENDS ${script})

add_executable(quire-kernel ${QUIRE_METAL_SOURCES} ${core})
add_dependencies(quire-kernel quire_kernel_script)
set_target_properties(quire-kernel PROPERTIES LINK_DEPENDS ${script})
target_compile_options(quire-kernel PRIVATE $<$<COMPILE_LANGUAGE:C>:-std=gnu11>)
target_link_libraries(quire-kernel PRIVATE quire_flags_metal)
target_link_options(quire-kernel PRIVATE -nostdlib -static -no-pie -Wl,-T,${script} -Wl,--build-id=none
	-Wl,-z,max-page-size=4096 -Wl,-z,noexecstack)

# bench/metal/run boots it on this kernel and on Linux.
add_executable(metal-ops ${PROJECT_SOURCE_DIR}/bench/metal/ops.c)
target_compile_options(metal-ops PRIVATE -std=gnu11 -O2 -Wall -Wextra)
if(QUIRE_WERROR)
	target_compile_options(metal-ops PRIVATE -Werror)
endif()
target_link_options(metal-ops PRIVATE -static)
