//! Makes cargo look whether console and agent were built anew: what is put into the program are folders, which may have
//! files now that they did not have before. The folders themselves are always there, since cargo builds everything again each time
//! when something that it watches is missing.

fn main() {
    println!("cargo::rerun-if-changed=console/dist");
    println!("cargo::rerun-if-changed=agent/dist");
    println!("cargo::rerun-if-changed=build.rs");
}
