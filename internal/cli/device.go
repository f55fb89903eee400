package cli

type deviceCmd struct {
	Add    deviceAddCmd    `cmd:"" help:"Add a device and show its token, once."`
	Ls     deviceLsCmd     `cmd:"" help:"List devices."`
	Show   deviceShowCmd   `cmd:"" help:"Show a device with its latest readings."`
	Events deviceEventsCmd `cmd:"" help:"Show when a device connected, and why it is offline."`
	Rm     deviceRmCmd     `cmd:"" help:"Remove devices with all their readings."`
	Token  deviceTokenCmd  `cmd:"" help:"Give a device a new token; the old one ends at once."`
}

func (deviceCmd) Help() string {
	return `Examples:

    trefoil device add pump-7 --name "Feed pump" --tag site:roanoke --profile pump
    trefoil device ls --tag site:roanoke --offline
    trefoil device show pump-7
    trefoil device events pump-7
    TOKEN=$(trefoil device token pump-7 --quiet)`
}
