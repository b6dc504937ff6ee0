//! What no tool checks: which module may use which, that ARCHITECTURE.md names every folder, that files stay short and
//! nothing is left to do.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The longest file, in lines.
const FILE_LINES: usize = 600;

/// Modules that may use these modules of ours only (and themselves).
const ONLY: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("deliver", &["model", "clock", "limits", "defect"]),
    ("blocking", &[]),
    ("defect", &[]),
    ("journal", &["model", "clock", "limits", "config", "blocking"]),
    ("limits", &[]),
    ("clock", &["model"]),
    ("filter", &["model", "limits"]),
    ("http", &["observe"]),
    ("observe", &["model", "config", "journal"]),
    ("seal", &["model", "clock", "limits"]),
    ("oidc", &["model", "clock", "config", "deliver"]),
    ("mail", &["model", "clock", "config", "limits", "seal", "store"]),
];

/// Modules that may not use these: the API sees what the stages offer, never a backend; stages do not see the API.
const NEVER: &[(&str, &[&str])] = &[
    ("api", &["store", "node", "cli", "dispatch"]),
    ("intake", &["api", "store", "node", "cli", "dispatch"]),
    ("dispatch", &["api", "intake", "node", "cli"]),
    ("catalog", &["api", "intake", "dispatch", "node", "cli"]),
    ("store", &["api", "intake", "dispatch", "node", "cli"]),
    ("record", &["api", "intake", "node", "cli"]),
];

#[test]
fn modules_use_only_what_they_may() {
    let mut wrong = Vec::new();
    for file in rust_files("src") {
        let module = module_of(&file);
        for used in used_modules(&production_code(&read(&file))) {
            if forbidden(&module, &used) {
                wrong.push(format!("{} uses crate::{used}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "edges that ARCHITECTURE.md rules out:\n{}", wrong.join("\n"));
}

#[test]
fn architecture_names_every_folder() {
    let architecture = read(&root().join("ARCHITECTURE.md"));
    let folders = fs::read_dir(root().join("src")).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_dir());
    let names: BTreeSet<String> = folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
    assert!(names.len() > 5);
    for name in names {
        assert!(architecture.contains(&format!("`{name}/`")), "ARCHITECTURE.md does not name src/{name}/");
    }
    for name in ["bench", "console", "deploy", "docs", "e2e"] {
        assert!(architecture.contains(&format!("{name}/")), "ARCHITECTURE.md does not name {name}/");
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    let documents = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let documents = documents.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let at_root = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(|name| root().join(name));
    for document in documents.chain(at_root) {
        let text = read(&document);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap();
            let is_local = !path.is_empty() && !path.contains("://");
            let target = document.parent().unwrap().join(path);
            assert!(!is_local || target.exists(), "{} links to {link}, which does not exist", document.display());
        }
    }
}

#[test]
fn nothing_is_left_to_do() {
    // Put together here, so that this file does not find itself.
    let marks = [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["XX", "X"].concat()];
    for file in all_rust_files() {
        for (number, line) in read(&file).lines().enumerate() {
            let found = marks.iter().find(|mark| line.contains(mark.as_str()));
            assert!(found.is_none(), "{}:{}: {}", file.display(), number + 1, line.trim());
        }
    }
}

#[test]
fn files_stay_short() {
    for file in all_rust_files() {
        let lines = read(&file).lines().count();
        assert!(lines <= FILE_LINES, "{} has {lines} lines, more than {FILE_LINES}", file.display());
    }
}

#[test]
fn the_reader_of_use_lines_reads_them() {
    let code = "use crate::model::{A, B};\nuse crate::{\n    clock::Clock,\n    limits,\n    journal::{file::X, Y},\n};\n\
                fn f() -> crate::store::Z { \"crate_x\" }\n// crate::api\n#[cfg(test)]\nmod tests { use crate::cli; }";
    let used = used_modules(&production_code(code));
    assert_eq!(used.iter().map(String::as_str).collect::<Vec<_>>(), ["clock", "journal", "limits", "model", "store"]);
    assert!(forbidden("model", "clock") && forbidden("api", "store"));
    assert!(!forbidden("deliver", "model") && !forbidden("deliver", "deliver") && !forbidden("node", "api"));
}

fn forbidden(module: &str, used: &str) -> bool {
    let listed = |rules: &[(&str, &'static [&'static str])]| {
        rules.iter().find(|(name, _)| *name == module).map(|(_, modules)| *modules)
    };
    let beyond_only = listed(ONLY).is_some_and(|allowed| !allowed.contains(&used));
    let never = listed(NEVER).is_some_and(|modules| modules.contains(&used));
    module != used && (beyond_only || never)
}

/// The modules of ours that a file names, in `use` lines and in paths.
fn used_modules(code: &str) -> BTreeSet<String> {
    let mut modules = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        if let Some(group) = rest.strip_prefix('{') {
            modules.extend(group_heads(group));
        } else {
            modules.insert(identifier(rest));
        }
    }
    modules
}

/// The first identifiers of `a::…, b::{…}, c}`.
fn group_heads(group: &str) -> Vec<String> {
    let mut heads = Vec::new();
    let (mut depth, mut at_head) = (1, true);
    for (index, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => at_head = true,
            c if at_head && (c.is_alphanumeric() || c == '_') => {
                heads.push(identifier(&group[index..]));
                at_head = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    heads
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Without comments, and without the tests at the end: tests may use what they like.
fn production_code(code: &str) -> String {
    let code = code.split("\n#[cfg(test)]\nmod tests").next().unwrap();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect()
}

/// `src/deliver/guard.rs` and `src/deliver.rs` belong to `deliver`.
fn module_of(file: &Path) -> String {
    let first = file.strip_prefix(root().join("src")).unwrap().iter().next().unwrap();
    first.to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// Production files: those that hold tests alone are left out.
fn rust_files(folder: &str) -> Vec<PathBuf> {
    let is_test =
        |path: &Path| path.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs")));
    let files = files_below(&root().join(folder));
    files.into_iter().filter(|path| !is_test(path.strip_prefix(root()).unwrap())).collect()
}

fn all_rust_files() -> Vec<PathBuf> {
    let files: Vec<PathBuf> =
        ["src", "tests", "bench/src"].iter().flat_map(|name| files_below(&root().join(name))).collect();
    assert!(files.len() > 20, "the files were not found");
    files
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
