//! What to do where no graphics adapter is found.

use std::fs;
use std::path::Path;

/// The cards that NVIDIA's kernel driver runs, by their models: what `nvidia-smi` lists. The driver says so in files, so
/// that no program must be run for it, which hangs where the driver does. `root` is `/`, or a folder that stands for it.
fn nvidia_cards(root: &Path) -> Vec<String> {
    let listed = |folder: &str| -> Vec<_> {
        let mut paths: Vec<_> =
            fs::read_dir(root.join(folder)).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        paths.sort();
        paths
    };
    let model = |card: &Path| {
        let text = fs::read_to_string(card.join("information")).ok()?;
        text.lines().find_map(|line| Some(line.strip_prefix("Model:")?.trim().to_owned()))
    };
    let known: Vec<String> = listed("proc/driver/nvidia/gpus").iter().filter_map(|card| model(card)).collect();
    if !known.is_empty() {
        return known;
    }
    let is_card = |name: &str| name.strip_prefix("nvidia").is_some_and(|n| n.parse::<u32>().is_ok());
    let devices = listed("dev").into_iter().filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()));
    devices.filter(|name| is_card(name)).map(|name| format!("/dev/{name}")).collect()
}

/// Why a card may not be seen, and what to do about it, in words that follow what was asked for and found.
pub(super) fn advice(root: &Path) -> String {
    let cards = nvidia_cards(root);
    if cards.is_empty() {
        return "use --device cpu, or --device vulkan for a software adapter".into();
    }
    format!(
        "NVIDIA's driver runs {}, but Vulkan does not see it. In a container, start it with \
         NVIDIA_DRIVER_CAPABILITIES=all (the default, compute and utility, leaves Vulkan out). Otherwise install the \
         Vulkan loader (libvulkan1 on Debian) and the part of NVIDIA's driver that has nvidia_icd.json; if that file \
         is in an unusual place, name it in VK_DRIVER_FILES. `vulkaninfo --summary` shows what Vulkan sees. \
         Until then, use --device cpu",
        cards.join(" and ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_that_only_the_kernel_sees_is_named_with_what_to_do() {
        let root = tempfile::tempdir().unwrap();
        assert!(advice(root.path()).starts_with("use --device cpu"));
        let dev = root.path().join("dev");
        fs::create_dir_all(&dev).unwrap();
        for name in ["nvidia0", "nvidiactl", "nvidia-uvm"] {
            fs::write(dev.join(name), "").unwrap();
        }
        assert_eq!(nvidia_cards(root.path()), ["/dev/nvidia0"]);
        let card = root.path().join("proc/driver/nvidia/gpus/0000:01:00.0");
        fs::create_dir_all(&card).unwrap();
        fs::write(card.join("information"), "Model: \t\t NVIDIA H200\nIRQ:   \t\t 17\n").unwrap();
        let told = advice(root.path());
        assert!(
            told.contains("runs NVIDIA H200, but Vulkan") && told.contains("NVIDIA_DRIVER_CAPABILITIES=all"),
            "{told}"
        );
    }
}
