// Pages work without this script but for passkeys and signatures, which only a
// browser can make. It adds: signing, and changes that come by themselves.
