// The compiler wants a source file with the headers that it precompiles; there is nothing to
// compile.
