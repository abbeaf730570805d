package hsm

// DecodeEC is the decoder of a token's EC public key, for its fuzz target.
var DecodeEC = decodeEC
