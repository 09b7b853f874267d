"""The README's outline, links between pages, public names, and figures that stand twice."""

import re

import pytest
from documents import PAGES, ROOT, code_blocks, name_of

README = (ROOT / "README.md").read_text()
LINK = re.compile(r"(?<!`)!?\[[^\]]*\]\(([^)\s]+)\)")
MACHINE_PATH = re.compile(r"(?<![\w.:/])/(?:home|root|Users|work|mnt|opt|tmp)/\w")


def anchors(text):
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    titles = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def test_readme_is_short():
    lines = README.splitlines()
    assert len(lines) <= 150
    assert lines.index("```python") < 50


def test_test_command_is_that_of_the_script():
    main_job, tests = code_blocks(ROOT / "README.md", "sh")
    assert main_job.splitlines() == [
        "python3 -m venv .venv",
        ".venv/bin/pip install '.[recipes]'",
        ".venv/bin/python recipes/sentiment.py",
    ]
    script = (ROOT / "scripts" / "test").read_text()
    assert script.endswith('cd "$(dirname "$0")/.."\n' + tests)
    assert "\nscripts/test\n" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links(page):
    broken = []
    for link in LINK.findall(re.sub(r"^```.*?^```", "", page.read_text(), flags=re.S | re.M)):
        if link.startswith(("https://", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
            broken.append(link)
    assert broken == []


def test_every_page_is_in_the_index():
    index = (ROOT / "docs" / "index.md").read_text().splitlines()
    pages = {name_of(page)[len("docs/") : -len(".md")] for page in PAGES if name_of(page).startswith("docs/")}
    assert pages - set(index) == {"index"}


def test_readme_links_every_page():
    linked = set(LINK.findall(README))
    assert {name_of(page) for page in PAGES} - linked == {"README.md", "docs/index.md", "tfpar/README.md"}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_paths_of_a_machine(page):
    assert MACHINE_PATH.findall(page.read_text()) == []


def test_modules_that_pages_name_exist():
    named = {
        name for page in PAGES for name in re.findall(r"`((?:tfpar|tests|recipes|scripts)/[\w/.]+)`", page.read_text())
    }
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


def test_glossary_has_twenty_words():
    rows = re.findall(r"^\| (.+?) \|", (ROOT / "docs" / "glossary.md").read_text(), re.M)
    assert len(rows) - 1 == 20 and rows[1:] == sorted(rows[1:], key=str.lower)


def table_rows(text, head):
    """Return the cells of the rows below a table's head."""
    lines = text[text.index(head) :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in lines]


def test_speed_in_the_readme_is_that_of_the_benchmarks():
    ours = table_rows(README, "| case | Keras |")
    assert len(ours) == 6
    page = (ROOT / "docs" / "benchmarks.md").read_text()
    known = {row[0]: row[3:7] for row in table_rows(page, "| case | ms | share of matmul peak | keras | keras_jit |")}
    for case, *ratios in ours:
        assert ratios == known[case.removesuffix(" of all 24 cases")], case
    assert len(known) == 25


def test_export_table_in_the_readme_is_that_of_the_recipe():
    page = (ROOT / "docs" / "recipes" / "sentiment.md").read_text()
    known = table_rows(page, "| file | bytes |")
    ours = table_rows(README, "| format | bytes |")
    assert [row[1:] for row in ours] == [row[1:] for row in known]


def test_every_public_name_is_on_the_api_page():
    import tfpar

    page = (ROOT / "docs" / "api.md").read_text()
    sections = dict(re.findall(r"^## `([\w.]+)`\n(.*?)(?=^## |\Z)", page, re.S | re.M))
    packages = {"tfpar": tfpar} | {f"tfpar.{name}": getattr(tfpar, name) for name in tfpar.__all__}
    packages |= {f"tfpar.tasks.{name}": getattr(tfpar.tasks, name) for name in tfpar.tasks.__all__}
    missing = []
    for path, package in packages.items():
        if not hasattr(package, "__all__"):  # a function or a constant
            continue
        names = set(re.findall(r"^\| `(\w+)` \|", sections[path], re.M))
        missing += [
            f"{path}.{name}" for name in package.__all__ if name not in names | set(packages_of(path, packages))
        ]
    assert missing == [], "run scripts/write_api_page.py"


def packages_of(path, packages):
    """Return the names of the packages directly below a package."""
    return [other.rpartition(".")[2] for other in packages if other.rpartition(".")[0] == path]
