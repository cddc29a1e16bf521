"""The trail: functions that write it, triggers on every tracked table, and tables that refuse to be rewritten."""

from django.conf import settings
from django.db import migrations

from audit.operations import AppendOnly, Track

FUNCTIONS = """
    CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% of % is refused: the trail and what it follows are never rewritten.', TG_OP, TG_TABLE_NAME
            USING ERRCODE = 'insufficient_privilege';
    END $$;

    CREATE TYPE audit_circumstances AS (
        at timestamptz, user_id bigint, user_name text, user_role text, on_behalf_of text, channel text,
        ip_address inet, request_id text, import_batch text, reason text
    );

    -- What the transaction was told (clearance.postgresql); nothing where no door is: that is the system.
    CREATE FUNCTION audit_circumstances() RETURNS audit_circumstances LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
    DECLARE
        told jsonb := coalesce(nullif(current_setting('clearance.context', true), ''), '{}');
    BEGIN
        RETURN ROW(
            clock_timestamp(),
            (told ->> 'user_id')::bigint,
            left(coalesce(told ->> 'user_name', ''), 120),
            left(coalesce(told ->> 'user_role', ''), 40),
            left(coalesce(told ->> 'on_behalf_of', ''), 120),
            left(coalesce(told ->> 'channel', 'system'), 8),
            (told ->> 'ip_address')::inet,
            left(coalesce(told ->> 'request_id', ''), 64),
            left(coalesce(told ->> 'import_batch', ''), 64),
            left(coalesce(told ->> 'reason', ''), 500)
        )::audit_circumstances;
    END $$;

    -- The one entry that the application may write itself: that somebody was denied something.
    CREATE FUNCTION audit_record_denial(kind text, id text, told_changes jsonb) RETURNS void LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    DECLARE
        told audit_circumstances := audit_circumstances();
    BEGIN
        INSERT INTO audit_auditentry (
            at, entity_type, entity_id, action, changes, user_id, user_name, user_role, on_behalf_of, channel,
            ip_address, request_id, import_batch, reason
        ) VALUES (
            told.at, left(kind, 50), left(id, 40), 'denied', told_changes::text, told.user_id, told.user_name,
            told.user_role, told.on_behalf_of, told.channel, told.ip_address, told.request_id, told.import_batch,
            told.reason
        );
    END $$;
    REVOKE ALL ON FUNCTION audit_record_denial(text, text, jsonb) FROM PUBLIC;

    -- A seal joins the chain at its end or not at all; whether its root is true is for verify_audit to find out.
    CREATE FUNCTION audit_append_seal(given audit_seal) RETURNS void LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    DECLARE
        last audit_seal;
    BEGIN
        LOCK TABLE audit_seal IN SHARE ROW EXCLUSIVE MODE;
        SELECT * INTO last FROM audit_seal ORDER BY number DESC LIMIT 1;
        IF given.number <> coalesce(last.number, 0) + 1
            OR given.previous_hash <> coalesce(last.seal_hash, repeat('0', 64))
            OR given.highest_id <> greatest(coalesce(last.highest_id, 0), (given.ranges #>> '{-1,1}')::bigint)
            OR given.highest_id > pg_sequence_last_value(pg_get_serial_sequence('audit_auditentry', 'id')::regclass)
            OR given.sealed_at > clock_timestamp() + interval '1 hour'
        THEN
            RAISE EXCEPTION 'Seal % does not follow seal %.', given.number, coalesce(last.number, 0)
                USING ERRCODE = 'serialization_failure';
        END IF;
        INSERT INTO audit_seal SELECT given.*;
    END $$;
    REVOKE ALL ON FUNCTION audit_append_seal(audit_seal) FROM PUBLIC;
"""

GONE = """
    DROP FUNCTION audit_append_seal(audit_seal);
    DROP FUNCTION audit_record_denial(text, text, jsonb);
    DROP FUNCTION audit_circumstances();
    DROP TYPE audit_circumstances;
    DROP FUNCTION audit_refuse() CASCADE;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_initial"),
        ("alerts", "0001_initial"),
        ("audit", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
        ("outbox", "0001_initial"),
        ("shipments", "0002_history"),
        ("workflow", "0002_history"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RunSQL(FUNCTIONS, GONE),
        AppendOnly("audit.auditentry"),
        AppendOnly("audit.seal"),
        AppendOnly("shipments.historicalshipment"),
        AppendOnly("workflow.historicalworkflowstep"),
        Track(
            "accounts.user",
            [
                "id", "password", "last_login", "is_superuser", "email", "full_name", "phone", "department", "role",
                "language", "time_zone", "is_active", "is_staff", "identity_issuer", "identity_subject",
                "created_at", "updated_at",
            ],
        ),
        Track(
            "accounts.user_groups",
            [
                "id", "user_id", "group_id",
            ],
        ),
        Track(
            "accounts.user_user_permissions",
            [
                "id", "user_id", "permission_id",
            ],
        ),
        Track(
            "accounts.user_divisions",
            [
                "id", "user_id", "division_id",
            ],
        ),
        Track(
            "accounts.division",
            [
                "id", "code", "name",
            ],
        ),
        Track(
            "accounts.absence",
            [
                "id", "user_id", "starts_on", "ends_on", "substitute_id",
            ],
        ),
        Track(
            "accounts.signin",
            [
                "id", "user_id", "refresh_hash", "ip_address", "user_agent", "created_at", "last_used_at",
                "expires_at", "revoked_at",
            ],
        ),
        Track(
            "auth.group",
            [
                "id", "name",
            ],
        ),
        Track(
            "auth.group_permissions",
            [
                "id", "group_id", "permission_id",
            ],
        ),
        Track(
            "shipments.shipment",
            [
                "id", "shipment_number", "division_id", "transport_mode", "principal", "brand",
                "supplier_invoice_number", "supplier_invoice_date", "lc_number", "lc_issuing_bank",
                "invoice_amount_omr", "bl_number", "vessel", "port_of_loading", "port_of_discharge", "sail_date",
                "container_count", "quantity", "quantity_unit", "eta", "ata", "eta_edit_count", "eta_change_reason",
                "status", "cancel_reason", "cleared_on", "created_by_id", "created_at", "updated_at", "deleted_at",
                "version",
            ],
        ),
        Track(
            "workflow.workflowtemplate",
            [
                "id", "code", "version", "name", "transport_mode", "division_id", "is_current", "created_at",
            ],
        ),
        Track(
            "workflow.templatestep",
            [
                "id", "template_id", "step_number", "name", "description", "department", "offset_days",
                "is_critical", "is_optional", "filled_by_field", "depends_on",
            ],
        ),
        Track(
            "workflow.responsibility",
            [
                "id", "ppr_id", "apr_id", "template_code", "step_number", "division_id",
            ],
        ),
        Track(
            "workflow.departmentfallback",
            [
                "id", "ppr_id", "apr_id", "department",
            ],
        ),
        Track(
            "workflow.workflowstep",
            [
                "id", "shipment_id", "template_step_id", "step_number", "step_name", "department", "offset_days",
                "is_critical", "is_optional", "target_date", "actual_date", "not_required", "ppr_user_id",
                "apr_user_id", "completed_by_id", "on_behalf_of_id", "completed_at", "completed_via", "note",
                "created_at", "updated_at", "version",
            ],
        ),
        Track(
            "alerts.escalationrule",
            [
                "id", "name", "from_day", "until_day", "severity", "audiences", "starts_on", "ended_on",
            ],
        ),
        Track(
            "alerts.holiday",
            [
                "id", "on", "name", "is_confirmed",
            ],
        ),
        Track(
            "alerts.alert",
            [
                "id", "shipment_id", "workflow_step_id", "rule_id", "eta_revision", "days_post_eta",
                "recipient_user_id", "severity", "due_on", "is_late", "mail", "outbox_message_id",
                "acknowledged_at", "acknowledged_by_id", "promised_on", "created_at",
            ],
        ),
        Track(
            "outbox.message",
            [
                "id", "kind", "recipient_id", "message_id", "cc", "bcc", "reply_to", "delivery", "not_before",
                "leased_until", "refusals", "last_refusal", "sent_at", "created_at",
            ],
        ),
        Track(
            "outbox.attachment",
            [
                "id", "message_id", "name", "content_type", "content",
            ],
        ),
        Track(
            "outbox.mutedmail",
            [
                "id", "user_id", "severity",
            ],
        ),
        Track(
            "django_celery_beat.periodictask",
            [
                "id", "name", "task", "interval_id", "crontab_id", "solar_id", "clocked_id", "args", "kwargs",
                "queue", "exchange", "routing_key", "headers", "priority", "expires", "expire_seconds", "one_off",
                "start_time", "enabled", "last_run_at", "total_run_count", "date_changed", "description",
            ],
        ),
        Track(
            "django_celery_beat.crontabschedule",
            [
                "id", "minute", "hour", "day_of_month", "month_of_year", "day_of_week", "timezone",
            ],
        ),
        Track(
            "django_celery_beat.intervalschedule",
            [
                "id", "every", "period",
            ],
        ),
        Track(
            "django_celery_beat.solarschedule",
            [
                "id", "event", "latitude", "longitude",
            ],
        ),
        Track(
            "django_celery_beat.clockedschedule",
            [
                "id", "clocked_time",
            ],
        ),
    ]
