//! Compiles the C++ shim against the system's OpenJPH and links both.

fn main() {
    println!("cargo:rerun-if-changed=src/shim.cpp");
    println!("cargo:rerun-if-env-changed=OPENJPH_PREFIX");
    let mut build = cc::Build::new();
    // An installation of its own goes before the system's: OPENJPH_PREFIX/include and OPENJPH_PREFIX/lib.
    if let Ok(prefix) = std::env::var("OPENJPH_PREFIX") {
        build.include(format!("{prefix}/include"));
        println!("cargo:rustc-link-search=native={prefix}/lib");
    } else if let Ok(library) = pkg_config::Config::new().cargo_metadata(false).probe("openjph") {
        // Debian 12 ships an empty description, which finds the headers in the compiler's own folders.
        build.includes(library.include_paths);
        for path in library.link_paths {
            println!("cargo:rustc-link-search=native={}", path.display());
        }
    }
    build.cpp(true).std("c++17").opt_level(3).warnings(true).file("src/shim.cpp");
    if let Err(error) = build.try_compile("mingying_openjph_shim") {
        println!("cargo:warning=the OpenJPH library is needed (Debian: libopenjph-dev), or OPENJPH_PREFIX: {error}");
        std::process::exit(1);
    }
    println!("cargo:rustc-link-lib=openjph");
}
