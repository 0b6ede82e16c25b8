# usage: cmake -DBUILD=folder -DCOPY=folder -P install.cmake
#
# Installs what BUILD installs somewhere else and moves it to COPY: what works there works wherever a copy is moved.
file(REMOVE_RECURSE ${COPY} ${COPY}_before_the_move)
execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${COPY}_before_the_move COMMAND_ERROR_IS_FATAL ANY)
file(RENAME ${COPY}_before_the_move ${COPY})
