import { ActionIcon, Drawer, Menu, UnstyledButton } from "@mantine/core";
import { useDisclosure, useHotkeys } from "@mantine/hooks";
import { type ReactNode, useEffect } from "react";
import { NavLink, useLocation, useNavigate } from "react-router";
import { Icon, type IconName } from "../ui/Icon.tsx";
import { SchemeSwitch } from "../ui/SchemeSwitch.tsx";
import { AddKey } from "./AddKey.tsx";
import { useAccount } from "./api.tsx";
import { useLive } from "./live.tsx";
import { Mark } from "./parts/Mark.tsx";
import { signOut, switchTo, useSession } from "./session.ts";

interface Door {
  readonly to: string;
  readonly name: string;
  readonly icon: IconName;
}

const doors: readonly { readonly group: string; readonly doors: readonly Door[] }[] = [
  {
    group: "",
    doors: [
      { to: "/", name: "Overview", icon: "overview" },
      { to: "/orders", name: "Orders", icon: "orders" },
    ],
  },
  {
    group: "Shop",
    doors: [
      { to: "/catalog", name: "Catalog", icon: "catalog" },
      { to: "/stock", name: "Stock", icon: "stock" },
      { to: "/customers", name: "Customers", icon: "customers" },
      { to: "/promotions", name: "Promotions", icon: "promotions" },
    ],
  },
  {
    group: "Money",
    doors: [
      { to: "/payments", name: "Payments", icon: "payments" },
      { to: "/ledger", name: "Ledger", icon: "ledger" },
    ],
  },
  {
    group: "Engine",
    doors: [
      { to: "/events", name: "Events", icon: "events" },
      { to: "/sagas", name: "Sagas", icon: "sagas" },
      { to: "/jobs", name: "Jobs", icon: "jobs" },
      { to: "/system", name: "System", icon: "system" },
    ],
  },
  {
    group: "Brand",
    doors: [
      { to: "/keys", name: "API keys", icon: "keys" },
      { to: "/settings", name: "Settings", icon: "settings" },
    ],
  },
];

const operatorDoors: typeof doors = [
  {
    group: "Deployment",
    doors: [
      { to: "/tenants", name: "Tenants", icon: "tenants" },
      { to: "/system", name: "System", icon: "system" },
    ],
  },
];

/** The frame around every room: the doors on the left, the room on the right. */
export function Shell({ children }: { readonly children: ReactNode }) {
  const [opened, { open, close }] = useDisclosure(false);
  const { pathname } = useLocation();
  // biome-ignore lint/correctness/useExhaustiveDependencies: each new room closes the drawer
  useEffect(close, [pathname]);
  useJumps();
  return (
    <div className="shell">
      <a className="skip" href="#room">
        Skip to the room
      </a>
      <aside className="side">
        <Side />
      </aside>
      <header className="bar">
        <ActionIcon variant="subtle" color="gray" size="lg" aria-label="Rooms" onClick={open}>
          <Icon name="menu" />
        </ActionIcon>
        <Mark size={22} />
        <span className="bar-name">{useAccount().name}</span>
        <SchemeSwitch />
      </header>
      <Drawer opened={opened} onClose={close} position="left" size={264} title="Rooms">
        <Side />
      </Drawer>
      <main id="room" className="room" tabIndex={-1}>
        {children}
      </main>
    </div>
  );
}

/** Alt with a digit goes to a room, "/" to its search. */
function useJumps(): void {
  const navigate = useNavigate();
  const rooms = doors.flatMap(({ doors: group }) => group);
  useHotkeys([
    ["/", () => document.querySelector<HTMLInputElement>("input[type=search]")?.focus()],
    ...rooms
      .slice(0, 9)
      .map(({ to }, index): [string, () => void] => [`alt+${index + 1}`, () => void navigate(to)]),
  ]);
}

function Side() {
  const account = useAccount();
  const groups = account.kind === "operator" && !account.tenantId ? operatorDoors : doors;
  return (
    <div className="side-inner">
      <AccountMenu />
      <nav aria-label="Rooms">
        {groups.map(({ group, doors: members }) => (
          <div key={group} className="side-group">
            {group && <h2>{group}</h2>}
            {members.map(({ to, name, icon }) => (
              <NavLink key={to} to={to} end={to === "/"} className="door">
                <Icon name={icon} size={17} />
                {name}
              </NavLink>
            ))}
          </div>
        ))}
      </nav>
      <div className="side-foot">
        <LiveDot />
        <SchemeSwitch />
      </div>
    </div>
  );
}

function LiveDot() {
  const { state } = useLive();
  const { kind, tenantId } = useAccount();
  if (kind === "operator" && !tenantId) return <span />;
  const said = { open: "Live", waiting: "Connecting …", refused: "Not live" }[state];
  return (
    <span className={`live live-${state}`} role="status">
      {said}
    </span>
  );
}

function AccountMenu() {
  const account = useAccount();
  const { accounts, active } = useSession();
  const [opened, { open, close }] = useDisclosure(false);
  const navigate = useNavigate();
  const take = (index: number) => {
    switchTo(index);
    void navigate("/");
  };
  return (
    <>
      <AddKey opened={opened} close={close} />
      <Menu position="bottom-start" width={232} shadow="md">
        <Menu.Target>
          <UnstyledButton className="account" aria-label={`Brand: ${account.name}. Switch`}>
            <Mark />
            <span>
              <strong>{account.name}</strong>
              <small>{account.kind === "operator" ? "Operator's key" : account.slug}</small>
            </span>
            <Icon name="down" size={14} />
          </UnstyledButton>
        </Menu.Target>
        <Menu.Dropdown>
          {accounts.map((known, index) => (
            <Menu.Item
              key={`${known.key}/${known.tenantId}`}
              onClick={() => take(index)}
              rightSection={index === active ? <Icon name="check" size={14} /> : undefined}
            >
              {known.name}
            </Menu.Item>
          ))}
          <Menu.Divider />
          <Menu.Item leftSection={<Icon name="plus" size={14} />} onClick={open}>
            Add a key
          </Menu.Item>
          {account.slug && (
            <Menu.Item
              component="a"
              href={`/shop/${account.slug}`}
              target="_blank"
              leftSection={<Icon name="external" size={14} />}
            >
              Open the shop
            </Menu.Item>
          )}
          <Menu.Item leftSection={<Icon name="out" size={14} />} onClick={signOut}>
            Sign out
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
    </>
  );
}
