"""What to do next about a batch, as its page lists it: the most urgent step first."""

from typing import TYPE_CHECKING

from pipeline.report.format_numbers import format_count, plural

if TYPE_CHECKING:
    from pipeline.report.batch_html import Page


def next_steps(page: "Page") -> list[tuple[str, str | None]]:
    """Return sentences, each with the command that does it, if there is one."""
    return [*_about_faults(page), *_about_scans(page), *_about_models(page)]


def _about_faults(page: "Page") -> list[tuple[str, str | None]]:
    if not (page.failures or page.broken_checks):
        return []
    return [
        (
            "Read the last lines of messages.log in the private folder, correct the cause and run "
            "the batch again: what is done is kept.",
            "dental doctor",
        )
    ]


def _about_scans(page: "Page") -> list[tuple[str, str | None]]:
    steps = []
    no_fault = page.counts.get("forgotten", 0) + page.counts.get("masks", 0)
    if rejected := page.counts.get("rejected", 0) - no_fault:
        steps.append(
            (
                f"{plural(rejected, 'file')} rejected: see what to do about each below, then have "
                "them tried again with the next run.",
                f"dental retry {page.batch}",
            )
        )
    if page.near_duplicates:
        steps.append(
            (
                f"{plural(page.near_duplicates, 'pair')} of scans look alike. If one film was "
                "exported twice, use one of them; if the patients differ, one may be misfiled.",
                f"dental query near_duplicates batch={page.batch}",
            )
        )
    if page.problems:
        lines = plural(sum(page.problems.values()), "label line")
        steps.append(
            (f"{lines} could not be used.", f"dental query label_problems batch={page.batch}")
        )
    if page.alerts:
        steps.append(
            (
                "The batch differs from the reference: look at some of its scans, and review crops "
                "of it before you rely on its scores.",
                f"dental query drift batch={page.batch}",
            )
        )
    return steps


def _about_models(page: "Page") -> list[tuple[str, str | None]]:
    if not page.counts.get("features"):
        return []
    if not page.unseen:
        return [("Label crops of normal and abnormal kind, to train a head.", "dental review")]
    steps = [("Review the crops in the order of the work-list.", "dental review")]
    if audits := sum(bool(crop.audit and crop.label is None) for crop in page.gallery):
        steps.append(
            (
                f"{plural(audits, 'crop')} of the audit below have no label yet: label them all, "
                "so that the share of abnormal crops can be estimated.",
                "dental review",
            )
        )
    return steps + behind_baseline(page)


def behind_baseline(page: "Page") -> list[tuple[str, str | None]]:
    """Return what to do when a baseline has a higher AUROC than the head."""
    (_, head), *others = page.evaluations.items()
    ours = head["estimates"]["auroc"]["value"]
    aurocs = {name: scores["estimates"]["auroc"]["value"] for name, scores in others}
    better = {name: value for name, value in aurocs.items() if None not in (ours, value)}
    best = max(better, key=lambda name: better[name], default=None)
    if best is None or better[best] <= ours:
        return []
    behind = (
        f"The head ({ours:.2f} AUROC) is behind its best baseline, {best} ({better[best]:.2f}), "
        f"on {format_count(head['patients'])} test patients. More labels help most"
    )
    steps = [(f"{behind}: label the crops a head learns most from.", "dental query label_next")]
    learned = str((page.trunk_card or {}).get("weights", "")).startswith("learned")
    if not learned:
        steps.append(("Then learn a trunk from your own scans.", "dental learn-trunk"))
    return steps
