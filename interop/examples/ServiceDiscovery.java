import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.retry.ExponentialBackoffRetry;
import org.apache.curator.x.discovery.ServiceDiscoveryBuilder;
import org.apache.curator.x.discovery.ServiceInstance;

import java.util.Collection;

/**
 * Naming and service discovery: a service is asked for by name, not by address.
 *
 * <p>An instance registers itself as an ephemeral node below the service's name, with its address
 * as data. Who looks the name up finds the instances that are alive, and nobody has to take a dead
 * one off a list: its node goes with its session.
 */
public class ServiceDiscovery {
    private static CuratorFramework connect() {
        CuratorFramework client =
                CuratorFrameworkFactory.newClient(
                        System.getenv("ZK_HOSTPORT"), new ExponentialBackoffRetry(100, 5));
        client.start();
        return client;
    }

    private static org.apache.curator.x.discovery.ServiceDiscovery<Void> join(
            CuratorFramework client, String name, int port) throws Exception {
        ServiceDiscoveryBuilder<Void> builder =
                ServiceDiscoveryBuilder.builder(Void.class)
                        .client(client)
                        .basePath("/examples/services");
        if (port > 0) {
            builder.thisInstance(
                    ServiceInstance.<Void>builder()
                            .name(name)
                            .address("127.0.0.1")
                            .port(port)
                            .build());
        }
        var discovery = builder.build();
        discovery.start();
        return discovery;
    }

    private static void expect(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    public static void main(String[] args) throws Exception {
        CuratorFramework first = connect();
        CuratorFramework second = connect();
        CuratorFramework user = connect();
        join(first, "mail", 2501);
        join(second, "mail", 2502);
        join(second, "web", 8080);
        var directory = join(user, "", 0);

        expect(directory.queryForNames().size() == 2, "two services");
        Collection<ServiceInstance<Void>> mail = directory.queryForInstances("mail");
        expect(mail.size() == 2, "two mail servers");
        mail.forEach(
                each -> System.out.println("mail at " + each.getAddress() + ":" + each.getPort()));

        // A program that ends is gone from the directory.
        first.close();
        mail = directory.queryForInstances("mail");
        expect(mail.size() == 1 && mail.iterator().next().getPort() == 2502, "one is left");
        directory.close();
        second.close();
        user.close();
    }
}
