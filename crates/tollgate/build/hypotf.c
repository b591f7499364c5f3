/* `hypotf` of glibc 2.35 has a symbol version of its own, which older systems do not have. The libraries that draw SVG and PDF call
   it, so the binary has this one: the squares of two floats are exact enough in double precision, and cannot overflow. */
float hypotf(float x, float y) {
    if (__builtin_isinf(x) || __builtin_isinf(y)) {
        return __builtin_inff();
    }
    return (float)__builtin_sqrt((double)x * x + (double)y * y);
}
