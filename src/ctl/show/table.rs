//! Tables with borders of ASCII, cells to the right, heads in capitals in the middle.

/// A head and rows below it.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) head: &'static [&'static str],
    pub(crate) rows: Vec<Vec<String>>,
}

impl Table {
    /// The rows alone, as the simple format has them.
    pub(crate) fn lines(&self) -> String {
        self.rows.iter().map(|row| format!("{}\n", row.join(", "))).collect()
    }

    pub(crate) fn render(&self) -> String {
        let widths: Vec<usize> = (0..self.head.len())
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
                cells.chain([self.head[column].len()]).max().unwrap_or(0)
            })
            .collect();
        let border: String = widths.iter().map(|width| format!("+{}", "-".repeat(width + 2))).collect();
        let border = format!("{border}+\n");
        let head: String =
            self.head.iter().zip(&widths).map(|(name, width)| centred(&name.to_uppercase(), *width)).collect();
        let mut out = format!("{border}{head}|\n{border}");
        for row in &self.rows {
            let line: String = row.iter().zip(&widths).map(|(cell, width)| format!("| {cell:>width$} ")).collect();
            out.push_str(&format!("{line}|\n"));
        }
        if !self.rows.is_empty() {
            out.push_str(&border);
        }
        out
    }
}

fn centred(text: &str, width: usize) -> String {
    let gap = width - text.len();
    let left = gap / 2;
    format!("| {}{text}{} ", " ".repeat(left), " ".repeat(gap - left))
}
