//! Makes cargo look whether the console was built anew: what is put into the program is a folder, which may have files
//! now that it did not have before. The folder itself is always there, since cargo builds everything again each time
//! when something that it watches is missing.

fn main() {
    println!("cargo::rerun-if-changed=console/dist");
    println!("cargo::rerun-if-changed=build.rs");
}
