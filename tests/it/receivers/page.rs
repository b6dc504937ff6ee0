//! docs/receivers.md shows the files that the other tests run, and no others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[test]
fn the_page_shows_the_files_that_are_run() {
    let page = std::fs::read_to_string(docs().join("receivers.md")).unwrap();
    let shown = blocks(&page);
    let mut files = 0;
    for entry in std::fs::read_dir(docs().join("snippets")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let file = std::fs::read_to_string(&path).unwrap();
        let block = shown.get(name).unwrap_or_else(|| panic!("docs/receivers.md does not show snippets/{name}"));
        assert!(*block == file, "docs/receivers.md shows another snippets/{name} than there is");
        files += 1;
    }
    assert_eq!(files, shown.len(), "{:?}", shown.keys());
}

/// The blocks of code that follow a link into snippets/, by the file's name.
fn blocks(page: &str) -> BTreeMap<String, String> {
    let mut blocks = BTreeMap::new();
    for part in page.split("](snippets/").skip(1) {
        let (name, rest) = part.split_once(')').expect("a link ends");
        let Some((_, code)) = rest.split_once("\n```") else { continue };
        let code = code.split_once('\n').expect("a block begins with a line of its own").1;
        let code = code.split_once("\n```").expect("a block ends").0;
        let earlier = blocks.insert(name.to_owned(), format!("{code}\n"));
        assert!(earlier.is_none(), "snippets/{name} is linked twice");
    }
    blocks
}

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}
