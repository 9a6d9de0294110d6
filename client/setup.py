"""The links on PyPI are those of the repository that builds the package; pyproject.toml holds everything else."""

import os

from setuptools import setup


def links() -> dict[str, str]:
    """By label; empty outside of a GitHub workflow, where the repository is not known."""
    repository = os.environ.get("GITHUB_REPOSITORY")
    if not repository:
        return {}
    base = f"{os.environ['GITHUB_SERVER_URL']}/{repository}"
    return {
        "Repository": base,
        "Documentation": f"{base}/blob/main/docs/meter-your-agent.md",
        "Changelog": f"{base}/blob/main/client/CHANGELOG.md",
        "Issues": f"{base}/issues",
    }


setup(project_urls=links())
