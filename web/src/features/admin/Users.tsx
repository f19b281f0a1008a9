import { CheckCircleOutlined, PlusOutlined, SafetyCertificateOutlined, StopOutlined } from "@ant-design/icons";
import { App, Button, Drawer, Form, Input, Modal, Select, Switch } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, path } from "@/api/client";
import { useMay, useSession } from "@/api/session";
import type { Role, User } from "@/api/types";
import { Empty } from "@/ui/Empty";
import { Panel } from "@/ui/PageFrame";
import { RowTable, type Column } from "@/ui/RowTable";
import { Tag } from "@/ui/Tags";
import { useAct } from "./useAct";
import { usePages } from "./usePages";
import css from "./Admin.module.css";

const roles: readonly Role[] = ["registrar", "nurse", "tech", "trainee", "radiologist", "senior", "expert", "clinician", "qc", "engineer", "head", "security", "admin"];
const MIN_PASSWORD = 12;

interface NewUser {
  username: string;
  name: string;
  password: string;
  roles: Role[];
}

export function Users() {
  const { t } = useTranslation("admin");
  const may = useMay();
  const manage = may("user.manage");
  const [text, setText] = useState("");
  const [adding, setAdding] = useState(false);
  const [chosen, setChosen] = useState<string | null>(null);
  const pages = usePages<User>(["users"], "/users");
  const wanted = text.trim().toLowerCase();
  const rows = pages.rows?.filter((user) => wanted === "" || user.username.toLowerCase().includes(wanted) || user.name.toLowerCase().includes(wanted));
  const user = pages.rows?.find(({ id }) => id === chosen);
  const columns: Column<User>[] = [
    { key: "username", title: t("user.username"), render: (row) => <strong>{row.username}</strong> },
    { key: "name", title: t("user.name"), render: (row) => row.name },
    { key: "roles", title: t("user.roles"), render: (row) => row.roles.map((role) => t(`common:role.${role}`)).join(t("app:comma")) },
    {
      key: "state",
      title: t("user.state"),
      width: 96,
      render: (row) =>
        row.active ? (
          <Tag tone="good" icon={<CheckCircleOutlined />}>
            {t("user.active")}
          </Tag>
        ) : (
          <Tag tone="faint" icon={<StopOutlined />}>
            {t("user.inactive")}
          </Tag>
        ),
    },
    {
      key: "factor",
      title: t("user.factor"),
      width: 96,
      wide: true,
      render: (row) =>
        row.second_factor ? (
          <Tag tone="good" icon={<SafetyCertificateOutlined />}>
            {t("user.factor_on")}
          </Tag>
        ) : (
          t("user.factor_off")
        ),
    },
  ];
  return (
    <>
      <Panel
        flush
        title={<Input.Search allowClear size="small" value={text} onChange={(event) => setText(event.target.value)} placeholder={t("user.filter")} aria-label={t("user.filter")} />}
        extra={
          manage && (
            <Button size="small" type="primary" icon={<PlusOutlined />} onClick={() => setAdding(true)}>
              {t("user.add")}
            </Button>
          )
        }
      >
        <RowTable
          label={t("tab.users")}
          columns={columns}
          {...pages}
          rows={rows}
          rowKey={(row) => row.id}
          selected={chosen}
          {...(manage ? { onOpen: (row: User) => setChosen(row.id) } : {})}
          empty={<Empty title={t("user.none")} />}
        />
      </Panel>
      <AddUser open={adding} onClose={() => setAdding(false)} />
      <Drawer open={user !== undefined} onClose={() => setChosen(null)} size={440} title={user ? `${user.name} (${user.username})` : undefined} destroyOnHidden>
        {user && <OneUser key={user.id} user={user} />}
      </Drawer>
    </>
  );
}

function RoleSelect({ label, ...props }: { value?: Role[]; onChange?: (roles: Role[]) => void; id?: string; label?: string }) {
  const { t } = useTranslation("admin");
  return <Select mode="multiple" {...props} aria-label={label} options={roles.map((value) => ({ value, label: t(`common:role.${value}`) }))} showSearch={{ optionFilterProp: "label" }} />;
}

function AddUser({ open, onClose }: { open: boolean; onClose: () => void }) {
  const { t } = useTranslation("admin");
  const [form] = Form.useForm<NewUser>();
  const add = useAct((user: NewUser) => api.post<User>("/users", user), {
    keys: [["users"]],
    done: t("user.added"),
    onDone: () => {
      form.resetFields();
      onClose();
    },
  });
  return (
    <Modal open={open} title={t("user.add")} okText={t("user.add")} cancelText={t("common:cancel")} confirmLoading={add.isPending} onCancel={onClose} onOk={() => form.submit()} destroyOnHidden>
      <Form form={form} layout="vertical" requiredMark={false} autoComplete="off" onFinish={(user: NewUser) => add.mutate(user)}>
        <Form.Item name="username" label={t("user.username")} rules={[{ required: true, message: t("need") }, { pattern: /^[a-z0-9._-]{2,64}$/, message: t("user.username_rule") }]}>
          <Input autoFocus autoCapitalize="none" autoComplete="off" />
        </Form.Item>
        <Form.Item name="name" label={t("user.name")} rules={[{ required: true, whitespace: true, message: t("need") }]}>
          <Input maxLength={64} autoComplete="off" />
        </Form.Item>
        <Form.Item name="roles" label={t("user.roles")} rules={[{ required: true, message: t("need") }]}>
          <RoleSelect />
        </Form.Item>
        <Form.Item name="password" label={t("user.first_password")} extra={t("user.password_rule")} rules={[{ required: true, min: MIN_PASSWORD, message: t("user.password_rule") }]}>
          <Input.Password autoComplete="new-password" />
        </Form.Item>
      </Form>
    </Modal>
  );
}

function OneUser({ user }: { user: User }) {
  const { t } = useTranslation("admin");
  const { modal } = App.useApp();
  const session = useSession();
  const self = session.user.id === user.id;
  const [name, setName] = useState(user.name);
  const [chosen, setChosen] = useState<Role[]>(user.roles);
  const [password, setPassword] = useState("");
  const change = useAct((body: Partial<{ name: string; roles: Role[]; active: boolean; password: string }>) => api.patch<User>(path`/users/${user.id}`, body), {
    keys: [["users"]],
    done: t("common:saved"),
    onDone: () => setPassword(""),
  });
  const differs = name.trim() !== user.name || [...chosen].sort().join() !== [...user.roles].sort().join();
  return (
    <div className={css.stack}>
      <Form layout="vertical" requiredMark={false}>
        <Form.Item label={t("user.name")}>
          <Input value={name} maxLength={64} aria-label={t("user.name")} onChange={(event) => setName(event.target.value)} />
        </Form.Item>
        <Form.Item label={t("user.roles")} extra={t("user.roles_hint")}>
          <RoleSelect label={t("user.roles")} value={chosen} onChange={setChosen} />
        </Form.Item>
        <Button type="primary" disabled={!differs || name.trim() === "" || chosen.length === 0} loading={change.isPending} onClick={() => change.mutate({ name: name.trim(), roles: chosen })}>
          {t("common:save")}
        </Button>
      </Form>
      <hr className={css.rule} />
      <label className={css.switch}>
        <Switch
          checked={user.active}
          disabled={self}
          aria-label={t("user.active")}
          onChange={(active) => {
            if (active) change.mutate({ active });
            else
              modal.confirm({ title: t("user.deactivate_ask", { name: user.name }), content: t("user.deactivate_hint"), okText: t("user.deactivate"), okButtonProps: { danger: true }, cancelText: t("common:cancel"), onOk: () => change.mutateAsync({ active }).catch(() => undefined) });
          }}
        />
        {user.active ? t("user.active") : t("user.inactive")}
        {self && <span className={css.hint}>{t("user.self")}</span>}
      </label>
      <hr className={css.rule} />
      <Form
        layout="vertical"
        requiredMark={false}
        onFinish={() => {
          if (password.length >= MIN_PASSWORD) change.mutate({ password });
        }}
      >
        <Form.Item label={t("user.reset")} extra={t("user.reset_hint")}>
          <Input.Password value={password} autoComplete="new-password" aria-label={t("user.reset")} onChange={(event) => setPassword(event.target.value)} />
        </Form.Item>
        <Button htmlType="submit" disabled={password.length < MIN_PASSWORD} loading={change.isPending}>
          {t("user.reset_do")}
        </Button>
      </Form>
    </div>
  );
}
