# SPDX-License-Identifier: Apache-2.0
#
# One package for a machine of one's own:  cpack -G DEB --config build/release/CPackConfig.cmake
# What distributions should do instead is in README.md beside this file.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME acme-agent)
set(CPACK_PACKAGE_CONTACT "acme-agent <root@localhost>" CACHE STRING "Who made the package")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "ACME agent: certificates for nginx")
set(CPACK_PACKAGING_INSTALL_PREFIX ${CMAKE_INSTALL_PREFIX})
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS ca-certificates)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
	${CMAKE_CURRENT_LIST_DIR}/conffiles ${CMAKE_CURRENT_LIST_DIR}/postinst)
include(CPack)
