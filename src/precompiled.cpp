// The compiler needs a source file to precompile headers; there is nothing else to compile.
