//! Files that run at the start, and files that belong to the user.

use std::path::PathBuf;

use super::trust;

/// Files that may run programs: those of the configuration folder, and the project's init file if it is trusted.
pub fn own_files() -> Vec<PathBuf> {
    let dirs = directories::ProjectDirs::from("", "", "llmdbg");
    let mut own: Vec<PathBuf> = dirs.map(|dirs| dirs.config_dir().to_path_buf()).into_iter().collect();
    let here = std::env::current_dir().unwrap_or_default();
    if let trust::Project::File(file) = trust::project(&here, trust::Trust::of_user().as_ref()) {
        own.push(file);
    }
    own
}

/// The init files to run: `init.ldb` in the configuration folder, then the project's if it is trusted; and a warning
/// about one that is not.
pub fn init_files() -> (Vec<PathBuf>, Option<String>) {
    let dirs = directories::ProjectDirs::from("", "", "llmdbg");
    let own = dirs.map(|dirs| dirs.config_dir().join("init.ldb")).filter(|file| file.is_file());
    let mut files: Vec<PathBuf> = own.into_iter().collect();
    let here = std::env::current_dir().unwrap_or_default();
    match trust::project(&here, trust::Trust::of_user().as_ref()) {
        trust::Project::Nothing => (files, None),
        trust::Project::File(file) => {
            files.push(file);
            (files, None)
        }
        trust::Project::Untrusted(file) => {
            let file = file.display();
            (
                files,
                Some(format!("{file} is not trusted and was not run; to trust it, read it and run \"llmdbg trust\"")),
            )
        }
    }
}
