package webhook

// userDomain is about people's accounts.
var userDomain = domain{types: ignore("an account is nothing to sign", "locked")}
