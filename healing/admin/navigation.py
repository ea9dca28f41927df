"""The menu: first what needs a person, then what happened, then what is set up. Who may not see a page is not shown its link."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

VIEW = "schema_monitor.view_schemaversion"
VERSIONS = "admin:schema_monitor_schemaversion_changelist"
OF_VERSIONS = ("compare/",)


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """unfold's SIDEBAR navigation."""
    return [
        _group("", ("Dashboard", "dashboard", "admin:index", "")),
        _group(
            "Needs you",
            ("Review queue", "rule", "admin:healing_review", "healing.view_proposal"),
            ("Schema proposals", "add_column_right", "admin:healing_schema_fixes", "healing.view_schemafix"),
            ("Quarantine", "inventory_2", "admin:healing_causes", "healing.view_quarantineitem"),
        ),
        _group(
            "What happened",
            ("Cases", "manage_search", "admin:healing_receipt_changelist", "healing.view_receipt"),
            ("Transactions", "account_tree", "admin:healing_transactionlog_changelist", "healing.view_transactionlog"),
            ("Rules", "auto_fix_high", "admin:healing_rule_changelist", "healing.view_rule"),
            ("Breakers", "electric_bolt", "admin:breakers_breakerconfig_changelist", "breakers.view_breakerconfig"),
            ("Replays", "replay", "admin:healing_replay_changelist", "healing.view_replay"),
            ("Callers", "hub", "callers", "healing.view_apikey"),
            ("Functions", "code", "functions", "healing.view_scanrun"),
            ("Triggers", "notification_important", "admin:metrics_trigger_changelist", "metrics.view_trigger"),
            ("Optimization log", "auto_graph", "admin:optimizer_proposal_changelist", "optimizer.view_proposal"),
            ("AI askings", "smart_toy", "admin:healing_assistrun_changelist", "healing.view_assistrun"),
            ("Decisions", "gavel", "admin:healing_decision_changelist", "healing.view_decision"),
        ),
        _group(
            "Schema",
            ("Timeline", "timeline", "admin:schema_timeline", VIEW),
            ("Versions", "difference", VERSIONS, VIEW),
            ("Tables", "table", "admin:schema_tables", VIEW),
            ("Old names", "history", "admin:schema_names", VIEW),
            ("Impact check", "crisis_alert", "admin:schema_impact", VIEW),
            ("Monitor", "radar", "admin:schema_panel", VIEW),
        ),
        _group(
            "AI",
            ("AI spend", "payments", "admin:breakers_aispend_changelist", "breakers.view_aispend"),
            ("Calls", "forum", "admin:breakers_aicall_changelist", "breakers.view_aicall"),
            ("Providers", "cloud", "admin:breakers_aiprovider_changelist", "breakers.view_aiprovider"),
            ("Keys", "vpn_key", "admin:breakers_aicredential_changelist", "breakers.view_aicredential"),
            ("Models", "neurology", "admin:breakers_aimodel_changelist", "breakers.view_aimodel"),
            ("Canned answers", "chat_paste_go", "admin:breakers_aicanned_changelist", "breakers.view_aicanned"),
            ("Allowances", "speed", "admin:breakers_aiallowance_changelist", "breakers.view_aiallowance"),
            ("AI settings", "tune", "admin:breakers_aisettings_changelist", "breakers.view_aisettings"),
        ),
        _group(
            "Set up",
            ("Alerts", "notifications", "admin:schema_monitor_schemasubscription_changelist", "schema_monitor.view_schemasubscription"),
            ("Policies", "policy", "admin:healing_policy_changelist", "healing.view_policy"),
            ("Review rules", "how_to_vote", "admin:healing_reviewrules_changelist", "healing.view_reviewrules"),
            ("Prompts", "edit_note", "admin:healing_prompt_changelist", "healing.view_prompt"),
            ("API keys", "key", "admin:healing_apikey_changelist", "healing.view_apikey"),
            ("People", "group", "admin:auth_user_changelist", "auth.view_user"),
            ("System", "monitor_heart", "system", "metrics.view_trigger"),
            ("Game days", "bolt", "admin:healing_gameday_changelist", "healing.view_gameday"),
            ("Queues", "schedule", "admin:django_rq_dashboard_changelist", "metrics.view_trigger"),
        ),
    ]


def _group(title: str, *links: tuple[str, str, str, str]) -> dict[str, Any]:
    items = [
        {"title": name, "icon": icon, "link": (link := reverse(page)), "permission": _may(right), "active": _is_at(link)}
        for name, icon, page, right in links
    ]
    return {"title": title, "separator": bool(title), "items": items}


def _is_at(link: str) -> Callable[[HttpRequest], bool]:
    """Whether the page is that link's or below it; a list whose pages have links of their own stands for itself and its rows only."""

    def at(request: HttpRequest) -> bool:
        rest = request.path.removeprefix(link)
        if rest == request.path:
            return False
        return not rest or (
            link != reverse("admin:index") and not (link == reverse(VERSIONS) and not rest[0].isdecimal() and rest not in OF_VERSIONS)
        )

    return at


def _may(right: str) -> Callable[[HttpRequest], bool]:
    return lambda request: not right or request.user.has_perm(right)
