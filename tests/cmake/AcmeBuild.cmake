# SPDX-License-Identifier: Apache-2.0
#
# Flags, and two functions that keep the CMakeLists of the folders short:
#
#   acme_folder(NAME libs...)   core/NAME/*.c as the static library core_NAME
#   acme_unit_tests(NAME libs...)  tests/unit/NAME/test_*.c, one program each

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
	set(CMAKE_BUILD_TYPE Release)
endif()

add_compile_definitions(_GNU_SOURCE ACME_VERSION="${PROJECT_VERSION}")
add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wvla -Wstrict-prototypes
	-Wmissing-prototypes -Wconversion -Wformat=2 -Wswitch-enum -Wundef)
if(ACME_WERROR)
	add_compile_options(-Werror)
endif()
if(ACME_SANITIZE)
	add_compile_options(-fsanitize=${ACME_SANITIZE} -fno-omit-frame-pointer)
	add_link_options(-fsanitize=${ACME_SANITIZE})
	if(ACME_SANITIZE MATCHES undefined)
		add_compile_options(-fno-sanitize-recover=undefined)
	endif()
elseif(CMAKE_BUILD_TYPE STREQUAL Release)
	add_compile_options(-fstack-protector-strong -fstack-clash-protection)
	if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|amd64")
		add_compile_options(-fcf-protection)
	endif()
	add_compile_definitions(_FORTIFY_SOURCE=2)
	add_link_options(-Wl,-z,relro,-z,now)
	set(CMAKE_C_FLAGS_RELEASE "-O2 -DNDEBUG")
endif()

function(acme_folder name)
	file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.c)
	if(NOT sources)
		return()
	endif()
	add_library(core_${name} STATIC ${sources})
	target_include_directories(core_${name} PUBLIC ${PROJECT_SOURCE_DIR}/core
		${PROJECT_SOURCE_DIR}/include)
	target_link_libraries(core_${name} PUBLIC ${ARGN})
endfunction()

function(acme_unit_tests name)
	file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/test_*.c)
	foreach(source ${sources})
		get_filename_component(test ${source} NAME_WE)
		set(target unit_${name}_${test})
		string(REPLACE "_test_" "_" target ${target})
		add_executable(${target} ${source})
		target_link_libraries(${target} PRIVATE ${ARGN} PkgConfig::CMOCKA)
		add_test(NAME unit/${name}/${test} COMMAND ${target})
		set_tests_properties(unit/${name}/${test} PROPERTIES LABELS "unit;quick" TIMEOUT 120)
	endforeach()
endfunction()
